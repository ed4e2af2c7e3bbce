"""ContentStore in a local folder, one file per content.

May import: mail, schemas.
"""

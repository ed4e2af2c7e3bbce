"""One machine's stack: state folder, engines, supervisor, logs. Knows nothing of mail.

May import: nothing of this project.
"""

"""Directory rules: addresses to recipients, aliases, quotas, passwords.

May import: mail.ports, the base modules of mail, schemas.
"""

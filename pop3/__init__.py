"""POP3 server (RFC 1939) on asyncio: sessions, maildrops, messages on the wire, limits.

session.py has the commands before sign-in, maildrop_commands.py those after it, connection.py the
life and the limits of one connection. The maildrop is the inbox; QUIT deletes by commands to the
mailbox stage.
May import: edge, mail, schemas.
"""

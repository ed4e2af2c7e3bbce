"""SMTP submission (RFC 6409, RFC 8314): mail programs sign in and send.

session.py has the commands, sign_in.py AUTH, acceptance.py the step from the last octet to 250:
content stored, event acknowledged by the broker. Connections, DATA, BDAT and limits are those of
smtp/server. The port for other servers (smtp/server) never offers AUTH.
May import: smtp.server, edge, mail, schemas.
"""

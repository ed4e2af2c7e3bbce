"""SMTP server on aiosmtpd: sessions, DATA, limits, acceptance into the log.

session.py has the commands, data_transfer.py one DATA, acceptance.py the step from the final dot to
250: content stored, event acknowledged by the broker.
May import: edge, mail, schemas.
"""

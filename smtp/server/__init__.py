"""SMTP server on aiosmtpd: sessions, DATA, limits, acceptance into the log.

session.py has the commands, data_transfer.py one DATA, chunks.py BDAT, acceptance.py the step to
250: content stored, event acknowledged by the broker.
May import: edge, mail, schemas.
"""

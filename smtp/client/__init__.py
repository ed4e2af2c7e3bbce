"""SMTP client (RFC 5321): hands mails over to other servers; the adapter of MailTransport.

transport.py chooses hosts and gives every recipient an outcome; session_pool.py keeps sessions;
session.py greets, begins TLS and authenticates; transaction.py sends one mail; connection.py
writes commands and reads replies.
May import: edge, mail, schemas. The resolver is passed in by cli.
"""

from smtp.client.config import ClientConfig
from smtp.client.transport import SmtpTransport

__all__ = ["ClientConfig", "SmtpTransport"]

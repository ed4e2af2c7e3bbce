"""Components that all client-facing servers share, free of HTTP and SMTP.

TLS certificate, PROXY protocol, trusted networks, connection limits, token buckets, sliding
windows, fair turns, login limiter, authenticator with password cache and sign-in log, SASL
exchanges, session tokens, commands to mailboxes, line reader.
May import: mail, schemas.
"""

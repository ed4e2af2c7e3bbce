"""Components that all client-facing servers share, free of HTTP and SMTP.

TLS certificate, PROXY protocol, trusted networks, sliding windows, fair turns, login limiter.
May import: mail, schemas.
"""

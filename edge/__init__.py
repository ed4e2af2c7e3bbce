"""Components that all client-facing servers share, free of HTTP and SMTP.

TLS certificate, PROXY protocol, trusted networks, connection limits, token buckets, sliding
windows, tokens for requests and the switch of an outage, fair turns, sign-in (in sign_in/),
commands to mailboxes, line reader.
May import: mail, schemas.
"""

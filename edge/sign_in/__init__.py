"""Sign-in, the same for every protocol.

Authenticator with login limiter, password cache and sign-in log; SASL exchanges; session tokens.
May import: edge, mail, schemas.
"""

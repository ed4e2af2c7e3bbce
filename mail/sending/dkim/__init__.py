"""DKIM signatures (RFC 6376, RFC 8463): signer, canonical form, check, keys, keyring.

May import: mail, schemas.
"""

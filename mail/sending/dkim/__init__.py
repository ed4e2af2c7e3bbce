"""DKIM signatures (RFC 6376, RFC 8463): signer, canonical form, keys, and the keyring of domains.

May import: mail, schemas.
"""

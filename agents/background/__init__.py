"""Background jobs: ledger, content sweep, stale holders, journal folding, index backfill.

May import: agents, mail, schemas.
"""

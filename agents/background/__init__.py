"""Periodic jobs beside the stages: ledger, content sweep, journal folding, index backfill.

May import: agents, mail, schemas.
"""

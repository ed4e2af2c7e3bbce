"""Readers of the log outside the stages: lag, live events, ledger feed, searches, backup.

May import: streams, mail, schemas.
"""

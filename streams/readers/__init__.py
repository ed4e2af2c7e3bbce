"""Readers of the log that are not stages.

lag.py and backlog_gate.py: lag, and when new mail is refused. event_tail.py: live mailbox events.
ledger_feed.py: accepted mails for the ledger. in_flight_search.py, mail_finder.py: searches.
log_snapshot.py: the log's half of a backup. reconnecting.py: sessions that begin again.
May import: streams, mail, schemas.
"""

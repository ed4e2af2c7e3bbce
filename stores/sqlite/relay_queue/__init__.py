"""Relay queue in relay.sqlite, written by the role `relay` and by operators' commands.

rows.py reads and writes rows and keeps what is derived from them; queue.py has the adapter,
administration.py the part for operators.
May import: stores.sqlite, mail, schemas.
"""

from stores.sqlite.relay_queue.queue import SqliteRelayQueue

__all__ = ["SqliteRelayQueue"]

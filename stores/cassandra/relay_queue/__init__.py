"""Relay queue on Cassandra, written by the role `relay` and by operators' commands.

mails.py has the rows and what leads to them, turns.py the turns of destinations, queue.py the
adapter, administration.py the part for operators.
May import: stores.cassandra, mail, schemas.
"""

from stores.cassandra.relay_queue.queue import CassandraRelayQueue

__all__ = ["CassandraRelayQueue"]

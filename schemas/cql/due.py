"""CQL tables of entries by time: see stores/cassandra/due_entries.py.

Drained slots are never read again, and an entry that comes back is deleted again: so the tombstones
of both tables are dropped after an hour.
"""

from schemas.cql.tables import Migration, Table

SLOT_MS = 600_000
SHARDS = 16  # of queues without Kafka partitions, by a hash of the key

DUE = Table(
    name="due",
    partition=("queue", "shard", "slot"),
    clustering=("due_at_ms", "key", "version"),
    values=("mark",),
)
# mark is always true: its write time is that of an entry, or of the newest entry of a slot.
DUE_SLOT = Table(
    name="due_slot", partition=("queue", "shard"), clustering=("slot",), values=("mark",)
)
DUE_TABLES: Migration = (
    DUE.create(
        "queue text, shard int, slot bigint, due_at_ms bigint, key text, version bigint,"
        " mark boolean",
        "gc_grace_seconds = 3600",
    ),
    DUE_SLOT.create("queue text, shard int, slot bigint, mark boolean", "gc_grace_seconds = 3600"),
)

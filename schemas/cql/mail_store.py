"""CQL tables of the mail store, as migrations. Values are msgpack blobs, times are in ms.

Partitions are bounded. BUCKET_SHIFT: a list, or the uids of a folder, has at most 2^19 rows of
about 100 octets in a partition. The journal has 1,024 entries in one. Message bodies have a
partition each, apart from the lists. `era` is the seq at which a list began again after it was
emptied: its deleted rows are in other partitions, and no read meets them.
"""

from schemas.cql.tables import Migration, Table

BUCKET_SHIFT = 19  # rows of lists: by created_seq of the message; rows of uid: by uid
JOURNAL_SHIFT = 10  # entries, by seq
DOMAIN_BUCKETS = 64  # users of a domain, by a hash
ID_BUCKETS = "0123456789abcdef"  # message ids, by their first character

# The state, written last in each step; generation is that of its writer.
MAILBOX = Table(name="mailbox", partition=("user_id",), values=("domain_id", "generation", "state"))
# Who may write a mailbox: the highest generation. Never overwritten; see ownership.py.
CLAIM = Table(name="claim", partition=("user_id",), clustering=("generation", "owner"))
# redo: the rows of the bucket's last step, written with its entry in one mutation.
JOURNAL = Table(
    name="journal", partition=("user_id", "bucket"), clustering=("seq",), values=("entry", "redo")
)
COMMAND = Table(name="command", partition=("user_id", "command_id"), values=("seq", "follow_up"))
MESSAGE = Table(name="message", partition=("user_id", "message_id"), values=("message",))
MESSAGE_ID = Table(name="message_id", partition=("user_id", "bucket"), clustering=("message_id",))
MESSAGE_BY_MAIL = Table(
    name="message_by_mail", partition=("mail_id",), clustering=("user_id", "message_id")
)
DRAFT = Table(
    name="draft",
    partition=("user_id", "draft_id"),
    clustering=("created_seq",),
    values=("message_id",),
)
# One row for each list: its era, its buckets, counts (ListHead in lists.py).
LIST_HEAD = Table(name="list_head", partition=("user_id",), clustering=("list",), values=("head",))
# Messages by arrival: of a folder (unread, read, flagged), with a keyword, of a thread in a folder.
LIST_ROW = Table(
    name="list_row",
    partition=("user_id", "list", "era", "bucket"),
    clustering=("received_at_ms", "message_id"),
    values=("flags", "sender", "folders"),
)
# Threads by their newest message in a list.
CONVERSATION = Table(
    name="conversation",
    partition=("user_id", "list", "era", "bucket"),
    clustering=("received_at_ms", "message_id"),
    values=("thread_id", "sums"),
)
# The same by thread: for each list position and sums (StoredThread in threads.py).
THREAD = Table(name="thread", partition=("user_id", "thread_id"), values=("thread",))
THREAD_KEY = Table(name="thread_key", partition=("user_id", "key"), values=("thread_id",))
UID = Table(
    name="uid",
    partition=("user_id", "list", "era", "bucket"),
    clustering=("uid",),
    values=("message_id", "changed_seq", "flags", "size_bytes", "received_at_ms"),
)
SETTINGS = Table(name="settings", partition=("user_id",), values=("settings",))
CORRESPONDENT = Table(
    name="correspondent", partition=("user_id",), clustering=("address",), values=("correspondent",)
)
SNAPSHOT = Table(name="snapshot", partition=("user_id",), values=("seq", "snapshot"))
SNAPSHOT_RECORD = Table(
    name="snapshot_record",
    partition=("user_id", "bucket"),
    clustering=("message_id",),
    values=("record",),
)
REBUILD = Table(name="rebuild", partition=("user_id",), values=("rebuild",))
DOMAIN_USAGE = Table(
    name="domain_usage",
    partition=("domain_id", "bucket"),
    clustering=("user_id",),
    values=("size_bytes", "messages"),
)
MAIL_TABLES = {
    table.name: table
    for table in (
        MAILBOX, CLAIM, JOURNAL, COMMAND, MESSAGE, MESSAGE_ID, MESSAGE_BY_MAIL, DRAFT, LIST_HEAD,
        LIST_ROW, CONVERSATION, THREAD, THREAD_KEY, UID, SETTINGS, CORRESPONDENT, SNAPSHOT,
        SNAPSHOT_RECORD, REBUILD, DOMAIN_USAGE,
    )
}  # fmt: skip

_NEWEST_FIRST = "CLUSTERING ORDER BY (received_at_ms DESC, message_id DESC)"
_LIST = "user_id text, list text, era bigint, bucket int, received_at_ms bigint, message_id text"
MAIL: tuple[Migration, ...] = (
    (
        MAILBOX.create("user_id text, domain_id text, generation int, state blob"),
        CLAIM.create(
            "user_id text, generation int, owner text",
            "CLUSTERING ORDER BY (generation DESC, owner ASC)",
        ),
        JOURNAL.create("user_id text, bucket int, seq bigint, entry blob, redo blob static"),
        COMMAND.create("user_id text, command_id text, seq bigint, follow_up blob"),
        MESSAGE.create("user_id text, message_id text, message blob"),
        MESSAGE_ID.create("user_id text, bucket text, message_id text"),
        MESSAGE_BY_MAIL.create("mail_id text, user_id text, message_id text"),
        DRAFT.create(
            "user_id text, draft_id text, created_seq bigint, message_id text",
            "CLUSTERING ORDER BY (created_seq DESC)",
        ),
        LIST_HEAD.create("user_id text, list text, head blob"),
        LIST_ROW.create(
            f"{_LIST}, flags int, sender text, folders frozen<list<text>>", _NEWEST_FIRST
        ),
        CONVERSATION.create(f"{_LIST}, thread_id text, sums blob", _NEWEST_FIRST),
        THREAD.create("user_id text, thread_id text, thread blob"),
        THREAD_KEY.create("user_id text, key blob, thread_id text"),
        UID.create(
            "user_id text, list text, era bigint, bucket int, uid bigint, message_id text,"
            " changed_seq bigint, flags int, size_bytes bigint, received_at_ms bigint"
        ),
        SETTINGS.create("user_id text, settings blob"),
        CORRESPONDENT.create("user_id text, address text, correspondent blob"),
        SNAPSHOT.create("user_id text, seq bigint, snapshot blob"),
        SNAPSHOT_RECORD.create("user_id text, bucket text, message_id text, record blob"),
        REBUILD.create("user_id text, rebuild blob"),
        DOMAIN_USAGE.create(
            "domain_id text, bucket int, user_id text, size_bytes bigint, messages bigint"
        ),
    ),
)

"""Tables of mail.sqlite (journal, states, rows, lists), as migrations."""

from schemas.sqlite.migrations import Statements

SCRATCH: Statements = (  # scratch tables of a rebuild; of a check as temporary tables
    """CREATE TABLE rebuild_record (
        mailbox_key INTEGER NOT NULL,
        message_id TEXT NOT NULL,
        record BLOB NOT NULL,
        PRIMARY KEY (mailbox_key, message_id)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE rebuild_binding (
        mailbox_key INTEGER NOT NULL,
        key BLOB NOT NULL,
        created_seq INTEGER NOT NULL,
        thread_id TEXT NOT NULL,
        PRIMARY KEY (mailbox_key, key)
    ) STRICT, WITHOUT ROWID""",
)


SCRATCH_CORRESPONDENTS: Statements = (  # likewise
    """CREATE TABLE rebuild_correspondent (
        mailbox_key INTEGER NOT NULL,
        address TEXT NOT NULL,
        sent INTEGER NOT NULL,
        last_ms INTEGER NOT NULL,
        words TEXT NOT NULL,
        correspondent BLOB NOT NULL,
        PRIMARY KEY (mailbox_key, address)
    ) STRICT, WITHOUT ROWID""",
)


# A user is a small number (mailbox_key) in these tables, which halves the file. The journal's key
# is made of user and seq, so that its large rows are in their B-tree in the order of the feed.
# place: lists by arrival; read and unread messages are apart, and a list of both merges them.
JOURNAL_KEY_SHIFT = 32  # journal_key = mailbox_key << 32 | seq


MAIL: tuple[Statements, ...] = (
    (
        """CREATE TABLE mailbox (
            mailbox_key INTEGER PRIMARY KEY,
            user_id TEXT NOT NULL UNIQUE,
            seq INTEGER NOT NULL,
            state BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE journal (
            journal_key INTEGER PRIMARY KEY,
            entry BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE command (
            mailbox_key INTEGER NOT NULL,
            command_id TEXT NOT NULL,
            seq INTEGER NOT NULL,
            PRIMARY KEY (mailbox_key, command_id)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE message (
            message_key INTEGER PRIMARY KEY,
            mailbox_key INTEGER NOT NULL,
            message_id TEXT NOT NULL,
            mail_id TEXT NOT NULL,
            message BLOB NOT NULL,
            UNIQUE (mailbox_key, message_id)
        ) STRICT""",
        "CREATE INDEX message_by_mail ON message (mail_id)",
        """CREATE TABLE place (
            mailbox_key INTEGER NOT NULL,
            folder_id TEXT NOT NULL,
            unread INTEGER NOT NULL CHECK (unread IN (0, 1)),
            received_at_ms INTEGER NOT NULL,
            message_id TEXT NOT NULL,
            message_key INTEGER NOT NULL,
            PRIMARY KEY (mailbox_key, folder_id, unread, received_at_ms, message_id)
        ) STRICT, WITHOUT ROWID""",
    ),
    # mailbox: small columns before the state, so that sums over a domain do not read states.
    # feed_from_ms is the time of the first entry that is not folded; NULL if all are.
    # place: flags are FLAG_*, and sender is an address in its normal form, both of
    # mail/mailbox/list_filters.py. The rows of place, uid and thread are computed from messages
    # (stores/sqlite/mail_store/upgrade.py).
    (
        "ALTER TABLE mailbox RENAME TO mailbox_before",
        """CREATE TABLE mailbox (
            mailbox_key INTEGER PRIMARY KEY,
            user_id TEXT NOT NULL UNIQUE,
            domain_id TEXT NOT NULL,
            seq INTEGER NOT NULL,
            folded_seq INTEGER NOT NULL,
            feed_from_ms INTEGER,
            size_bytes INTEGER NOT NULL,
            messages INTEGER NOT NULL,
            state BLOB NOT NULL
        ) STRICT""",
        """INSERT INTO mailbox
            SELECT mailbox_key, user_id, '', seq, 0, NULL, 0, 0, state FROM mailbox_before""",
        "DROP TABLE mailbox_before",
        "CREATE INDEX mailbox_by_domain ON mailbox (domain_id)",
        """CREATE INDEX mailbox_by_feed ON mailbox (feed_from_ms)
            WHERE feed_from_ms IS NOT NULL""",
        "DROP TABLE place",
        """CREATE TABLE place (
            mailbox_key INTEGER NOT NULL,
            folder_id TEXT NOT NULL,
            unread INTEGER NOT NULL CHECK (unread IN (0, 1)),
            received_at_ms INTEGER NOT NULL,
            message_id TEXT NOT NULL,
            message_key INTEGER NOT NULL,
            flags INTEGER NOT NULL,
            sender TEXT NOT NULL,
            PRIMARY KEY (mailbox_key, folder_id, unread, received_at_ms, message_id)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE uid (
            mailbox_key INTEGER NOT NULL,
            folder_id TEXT NOT NULL,
            uid INTEGER NOT NULL,
            message_key INTEGER NOT NULL,
            PRIMARY KEY (mailbox_key, folder_id, uid)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE thread (
            mailbox_key INTEGER NOT NULL,
            key BLOB NOT NULL,
            thread_id TEXT NOT NULL,
            PRIMARY KEY (mailbox_key, key)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE snapshot (
            mailbox_key INTEGER PRIMARY KEY,
            snapshot BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE snapshot_record (
            mailbox_key INTEGER NOT NULL,
            message_id TEXT NOT NULL,
            record BLOB NOT NULL,
            PRIMARY KEY (mailbox_key, message_id)
        ) STRICT, WITHOUT ROWID""",
    ),
    # member: the messages of a thread; schema 6 has another table of this name, and its rows.
    (
        """CREATE TABLE member (
            mailbox_key INTEGER NOT NULL,
            thread_id TEXT NOT NULL,
            received_at_ms INTEGER NOT NULL,
            message_id TEXT NOT NULL,
            message_key INTEGER NOT NULL,
            PRIMARY KEY (mailbox_key, thread_id, received_at_ms, message_id)
        ) STRICT, WITHOUT ROWID""",
    ),
    # message_counter: a message_key is never used twice, even if its row is deleted.
    # command: follow_up is the next chunk of a bulk command, set when the entry is folded.
    # rebuild: progress of a rebuild; rebuild_record and rebuild_binding are its scratch tables.
    # Tombstones lose their header summaries and hops (stores/sqlite/mail_store/upgrade.py).
    (
        "DROP INDEX mailbox_by_feed",
        "ALTER TABLE mailbox DROP COLUMN feed_from_ms",
        "ALTER TABLE command ADD COLUMN follow_up BLOB",
        """CREATE TABLE message_counter (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            last_key INTEGER NOT NULL
        ) STRICT""",
        "INSERT INTO message_counter SELECT 1, coalesce(max(message_key), 0) FROM message",
        """CREATE TABLE rebuild (
            mailbox_key INTEGER PRIMARY KEY,
            rebuild BLOB NOT NULL
        ) STRICT""",
        *SCRATCH,
    ),
    # uid: the columns of schemas/folder_slots.py. keyword: messages by keyword, without $seen.
    # vanished: uids that ended, from the journal's entries that are not folded. The rows of uid and
    # keyword, and the sizes of folders in the state, are computed from messages
    # (stores/sqlite/mail_store/upgrade.py).
    (
        "DROP TABLE uid",
        """CREATE TABLE uid (
            mailbox_key INTEGER NOT NULL,
            folder_id TEXT NOT NULL,
            uid INTEGER NOT NULL,
            message_key INTEGER NOT NULL,
            message_id TEXT NOT NULL,
            changed_seq INTEGER NOT NULL,
            flags INTEGER NOT NULL,
            size_bytes INTEGER NOT NULL,
            received_at_ms INTEGER NOT NULL,
            PRIMARY KEY (mailbox_key, folder_id, uid)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE keyword (
            mailbox_key INTEGER NOT NULL,
            keyword TEXT NOT NULL,
            received_at_ms INTEGER NOT NULL,
            message_id TEXT NOT NULL,
            message_key INTEGER NOT NULL,
            PRIMARY KEY (mailbox_key, keyword, received_at_ms, message_id)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE vanished (
            mailbox_key INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            folder_id TEXT NOT NULL,
            uid INTEGER NOT NULL,
            PRIMARY KEY (mailbox_key, seq, folder_id, uid)
        ) STRICT, WITHOUT ROWID""",
    ),
    # member: one row for each folder that shows the message; flags are those of
    # mail/mailbox/conversations.py, keywords are separated by spaces, without $seen.
    # conversation: one row for each thread and list, at the position of the thread's newest message
    # in the list, with sums over its messages there; folder_id '' is the list of all mail, and
    # keywords is a JSON object with the number of messages of each keyword, '' if it is empty.
    # conversation_count: sums over the rows of a list, and the number of its messages.
    # place.flags gets FLAG_REPEATED. All rows are computed from messages
    # (stores/sqlite/mail_store/upgrade.py).
    (
        "DROP TABLE member",
        """CREATE TABLE member (
            mailbox_key INTEGER NOT NULL,
            thread_id TEXT NOT NULL,
            folder_id TEXT NOT NULL,
            received_at_ms INTEGER NOT NULL,
            message_id TEXT NOT NULL,
            message_key INTEGER NOT NULL,
            flags INTEGER NOT NULL,
            keywords TEXT NOT NULL,
            PRIMARY KEY (mailbox_key, thread_id, folder_id, received_at_ms, message_id)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE conversation (
            mailbox_key INTEGER NOT NULL,
            folder_id TEXT NOT NULL,
            received_at_ms INTEGER NOT NULL,
            message_id TEXT NOT NULL,
            thread_id TEXT NOT NULL,
            total INTEGER NOT NULL,
            unread INTEGER NOT NULL,
            flagged INTEGER NOT NULL,
            attachments INTEGER NOT NULL,
            drafts INTEGER NOT NULL,
            keywords TEXT NOT NULL,
            PRIMARY KEY (mailbox_key, folder_id, received_at_ms, message_id)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE conversation_count (
            mailbox_key INTEGER NOT NULL,
            folder_id TEXT NOT NULL,
            threads INTEGER NOT NULL,
            unread_threads INTEGER NOT NULL,
            messages INTEGER NOT NULL,
            unread_messages INTEGER NOT NULL,
            PRIMARY KEY (mailbox_key, folder_id)
        ) STRICT, WITHOUT ROWID""",
    ),
    # settings: StoredSettings of schemas/user_settings.py; no row: never changed.
    # correspondent: by the normal form of the address; words is the text that a search looks in
    # (mail/mailbox/correspondents.py). The rows are counted from messages
    # (stores/sqlite/mail_store/upgrade.py).
    (
        """CREATE TABLE settings (
            mailbox_key INTEGER PRIMARY KEY,
            settings BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE correspondent (
            mailbox_key INTEGER NOT NULL,
            address TEXT NOT NULL,
            sent INTEGER NOT NULL,
            last_ms INTEGER NOT NULL,
            words TEXT NOT NULL,
            correspondent BLOB NOT NULL,
            PRIMARY KEY (mailbox_key, address)
        ) STRICT, WITHOUT ROWID""",
        *SCRATCH_CORRESPONDENTS,
    ),
    # message.draft_id: copied from the message; NULL if the message is no version of a draft, or is
    # destroyed.
    (
        "ALTER TABLE message ADD COLUMN draft_id TEXT",
        """CREATE INDEX message_by_draft ON message (mailbox_key, draft_id)
            WHERE draft_id IS NOT NULL""",
    ),
)

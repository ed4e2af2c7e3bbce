"""Tables of the small stores, as migrations.

Quarantine, ledger, holders, content, outlines, uploads.
"""

from schemas.sqlite.migrations import Statements

QUARANTINE: tuple[Statements, ...] = (
    (
        """CREATE TABLE quarantined (
            mail_id TEXT PRIMARY KEY NOT NULL,
            quarantined BLOB NOT NULL
        ) STRICT""",
    ),
    # unpublished: copied from the blob, for the index of releases that are not published yet.
    (
        "ALTER TABLE quarantined ADD COLUMN unpublished INTEGER NOT NULL DEFAULT 0",
        """CREATE INDEX quarantined_unpublished ON quarantined (mail_id)
            WHERE unpublished = 1""",
    ),
)


# look_at_ms is NULL once all states are terminal, so the index of open mails is small.
LEDGER: tuple[Statements, ...] = (
    (
        """CREATE TABLE accepted (
            mail_key INTEGER PRIMARY KEY,
            mail_id TEXT NOT NULL UNIQUE,
            accepted_at_ms INTEGER NOT NULL,
            header_hash INTEGER,
            look_at_ms INTEGER,
            missing_since_ms INTEGER,
            states BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX accepted_by_time ON accepted (accepted_at_ms, mail_id)",
        """CREATE INDEX accepted_by_header ON accepted (header_hash, accepted_at_ms)
            WHERE header_hash IS NOT NULL""",
        """CREATE INDEX accepted_open ON accepted (look_at_ms, accepted_at_ms, missing_since_ms)
            WHERE look_at_ms IS NOT NULL""",
        """CREATE TABLE owner (
            user_id TEXT NOT NULL,
            accepted_at_ms INTEGER NOT NULL,
            mail_key INTEGER NOT NULL,
            message_hash INTEGER NOT NULL,
            PRIMARY KEY (user_id, accepted_at_ms, mail_key)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX owner_by_message ON owner (message_hash)",
        """CREATE TABLE letter (
            letter_id TEXT PRIMARY KEY NOT NULL,
            mail_id TEXT NOT NULL,
            letter BLOB NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX letter_by_mail ON letter (mail_id)",
    ),
    ("ALTER TABLE accepted ADD COLUMN reopened INTEGER NOT NULL DEFAULT 0",),
    # Place of the record on mail.received; NULL: not known, or the mail has several records.
    (
        """CREATE TABLE received_epoch (
            epoch_key INTEGER PRIMARY KEY,
            epoch TEXT NOT NULL UNIQUE
        ) STRICT""",
        "ALTER TABLE accepted ADD COLUMN epoch_key INTEGER",
        "ALTER TABLE accepted ADD COLUMN log_partition INTEGER",
        "ALTER TABLE accepted ADD COLUMN log_offset INTEGER",
    ),
)


HOLDERS: tuple[Statements, ...] = (
    (
        """CREATE TABLE holder (
            mail_id TEXT NOT NULL,
            holder TEXT NOT NULL,
            ref TEXT NOT NULL,
            PRIMARY KEY (mail_id, holder)
        ) STRICT, WITHOUT ROWID""",
    ),
    # Holders that wait for an operator, listed by name: few among many rows.
    (
        "CREATE INDEX holder_quarantine ON holder (mail_id) WHERE holder = 'quarantine'",
        "CREATE INDEX holder_dead_letters ON holder (mail_id) WHERE holder = 'dead_letters'",
    ),
    ("CREATE INDEX holder_deposit ON holder (mail_id) WHERE holder = 'deposit'",),
    # released: final; the row is deleted with the content. A dead letter's id follows its kind.
    (
        "ALTER TABLE holder ADD COLUMN released INTEGER NOT NULL DEFAULT 0",
        "DROP INDEX holder_quarantine",
        "DROP INDEX holder_dead_letters",
        "DROP INDEX holder_deposit",
        """CREATE INDEX holder_quarantine ON holder (mail_id, holder)
            WHERE holder >= 'quarantine' AND holder < 'quarantine;' AND released = 0""",
        """CREATE INDEX holder_dead_letters ON holder (mail_id, holder)
            WHERE holder >= 'dead_letters' AND holder < 'dead_letters;' AND released = 0""",
        """CREATE INDEX holder_deposit ON holder (mail_id, holder)
            WHERE holder >= 'deposit' AND holder < 'deposit;' AND released = 0""",
    ),
)


# Small contents, with keys in the order of arrival; larger contents are files.
CONTENT: tuple[Statements, ...] = (
    (
        """CREATE TABLE content (
            content_key INTEGER PRIMARY KEY,
            mail_id TEXT NOT NULL UNIQUE,
            put_at_ms INTEGER NOT NULL,
            content BLOB NOT NULL
        ) STRICT""",
    ),
    # loose: contents without a holder, and the number of consecutive sweep turns without one.
    # lease: a process that needs all contents to stay; `beats` grows while the process lives.
    (
        """CREATE TABLE loose (
            mail_id TEXT PRIMARY KEY NOT NULL,
            turns INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE lease (
            lease_id TEXT PRIMARY KEY NOT NULL,
            purpose TEXT NOT NULL,
            taken_at_ms INTEGER NOT NULL,
            beats INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
    ),
)


OUTLINES: tuple[Statements, ...] = (
    (
        """CREATE TABLE outline (
            outline_key INTEGER PRIMARY KEY,
            mail_id TEXT NOT NULL UNIQUE,
            outline BLOB NOT NULL
        ) STRICT""",
    ),
)


# The columns are the fields of schemas/uploads.py.
UPLOADS: tuple[Statements, ...] = (
    (
        """CREATE TABLE upload (
            upload_id TEXT PRIMARY KEY NOT NULL,
            user_id TEXT NOT NULL,
            filename TEXT NOT NULL,
            content_type TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            used_at_ms INTEGER NOT NULL,
            expires_at_ms INTEGER NOT NULL,
            sha256 TEXT NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX upload_by_user ON upload (user_id, expires_at_ms)",
        "CREATE INDEX upload_by_expiry ON upload (expires_at_ms, upload_id)",
    ),
)

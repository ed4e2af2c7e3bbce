"""Tables of the embedded search index: one file per bucket of users, as migrations.

The index is stores/sqlite/search/index.py. `doc.id` orders a bucket by arrival, newest last. The
tokens of a document are in `fts` and its packed texts in `text`, under the same id. They are
separate tables so that `doc` is small enough to be scanned. `text.head` comes first: the header is
read without the pages of the body. `doc.sent_day` is the day of mail/query/matcher.py.
`fts` receives tokens (mail/query/tokenizer.py) joined by spaces. Its tokenizer splits at the spaces
and changes nothing, because it treats each byte of a non-ASCII character as part of a word. It
stores no content: to remove a document, the same tokens are computed again from `text`. A change of
the tokens in mail/query/tokenizer.py therefore needs a new version of this schema. No column sizes
are stored, because FTS5 does no ranking here. The prefix index of one character answers `a*`, and
single characters of scripts without spaces.
`progress`: every message that a user's mailbox had at this epoch and seq is in the index.
`unfilled`: users whose documents were dropped by a migration and are not added again yet.
"""

from schemas.sqlite.migrations import Statements

_TABLES: Statements = (  # since version 2
    """CREATE TABLE doc (
        id INTEGER PRIMARY KEY,
        user_id TEXT NOT NULL,
        message_id TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        digest BLOB NOT NULL
    ) STRICT""",
    "CREATE UNIQUE INDEX doc_by_message ON doc (user_id, message_id)",
    "CREATE TABLE text (id INTEGER PRIMARY KEY, packed BLOB NOT NULL) STRICT",
    """CREATE VIRTUAL TABLE fts USING fts5(
        about, subject, sender, "to", cc, body, filenames,
        tokenize=ascii, columnsize=0, content='', prefix='1'
    )""",
    "INSERT INTO fts (fts, rank) VALUES ('automerge', 8)",
)
_TABLES_OF_VERSION_4: Statements = (
    """CREATE TABLE doc (
        id INTEGER PRIMARY KEY,
        user_id TEXT NOT NULL,
        message_id TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        sent_day INTEGER NOT NULL,
        digest BLOB NOT NULL
    ) STRICT""",
    "CREATE UNIQUE INDEX doc_by_message ON doc (user_id, message_id)",
    "CREATE TABLE text (id INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL) STRICT",
    """CREATE VIRTUAL TABLE fts USING fts5(
        about, subject, sender, "to", cc, bcc, body, filenames,
        tokenize=ascii, columnsize=0, content='', prefix='1'
    )""",
    "INSERT INTO fts (fts, rank) VALUES ('automerge', 8)",
    """CREATE TABLE progress (
        user_id TEXT PRIMARY KEY NOT NULL,
        epoch TEXT NOT NULL,
        seq INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
)
SEARCH: tuple[Statements, ...] = (
    (
        """CREATE TABLE doc (
            id INTEGER PRIMARY KEY,
            user_id TEXT NOT NULL,
            message_id TEXT NOT NULL,
            digest BLOB NOT NULL
        ) STRICT""",
        "CREATE UNIQUE INDEX doc_by_message ON doc (user_id, message_id)",
        """CREATE VIRTUAL TABLE fts USING fts5(
            owner, subject, sender, recipients, body, filenames,
            tokenize=ascii, columnsize=0
        )""",
        # Twice the default: most transactions are small, and each leaves a segment to merge.
        "INSERT INTO fts (fts, rank) VALUES ('automerge', 8)",
    ),
    (
        "CREATE TABLE unfilled (user_id TEXT PRIMARY KEY NOT NULL) STRICT, WITHOUT ROWID",
        "INSERT INTO unfilled SELECT DISTINCT user_id FROM doc",
        "DROP TABLE fts",
        "DROP TABLE doc",
        *_TABLES,
    ),
    (  # new tokens for Arabic script and digits, and more text from HTML
        "INSERT OR IGNORE INTO unfilled SELECT DISTINCT user_id FROM doc",
        "DROP TABLE fts",
        "DROP TABLE text",
        "DROP TABLE doc",
        *_TABLES,
    ),
    (  # header fields, Bcc, message ids and the day of the Date field
        "INSERT OR IGNORE INTO unfilled SELECT DISTINCT user_id FROM doc",
        "DROP TABLE fts",
        "DROP TABLE text",
        "DROP TABLE doc",
        *_TABLES_OF_VERSION_4,
    ),
)

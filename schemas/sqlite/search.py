"""The embedded search index's tables: one file per bucket of users (stores/sqlite/search/index.py).

`doc.id` orders a bucket by arrival, newest last. The same id has its tokens in `fts` and its texts,
packed, in `text`; apart, so that `doc` stays small enough to be walked.
`fts` is given tokens (mail/query/tokenizer.py) joined by spaces: its tokenizer splits there and
changes nothing, since it takes every byte of a non-ASCII character for a letter. It keeps no
content: a removal makes the very tokens that were added once more, of `text`. So when
mail/query/tokenizer.py makes other tokens, this needs another version. No column sizes: nothing is
ranked inside. An index of first characters answers `a*`, and a single character of a script without
spaces. `unfilled`: users whose documents went with an older version, until they have been added
again.
"""

from schemas.sqlite.migrations import Statements

_TABLES: Statements = (  # of the versions since the second
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
        # Twice the default: small transactions are the rule, and each leaves a segment to merge.
        "INSERT INTO fts (fts, rank) VALUES ('automerge', 8)",
    ),
    (
        "CREATE TABLE unfilled (user_id TEXT PRIMARY KEY NOT NULL) STRICT, WITHOUT ROWID",
        "INSERT INTO unfilled SELECT DISTINCT user_id FROM doc",
        "DROP TABLE fts",
        "DROP TABLE doc",
        *_TABLES,
    ),
    (  # other tokens of Arabic script and of digits; more of a mail's HTML
        "INSERT OR IGNORE INTO unfilled SELECT DISTINCT user_id FROM doc",
        "DROP TABLE fts",
        "DROP TABLE text",
        "DROP TABLE doc",
        *_TABLES,
    ),
)

"""The embedded search index's tables: one file per bucket of users (stores/fts.py).

`doc.id` orders a bucket by arrival, newest last, and is the rowid of the same document in `fts`.
`fts` holds tokens (mail/text.py) joined by spaces: its tokenizer splits there and changes nothing,
since it takes every byte of a non-ASCII character for a letter. Content is kept, because a removal
has to name the very tokens that were added. No column sizes: nothing is ranked by relevance.
"""

from schemas.sqlite import Statements

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
)

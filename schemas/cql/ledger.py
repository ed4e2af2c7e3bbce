"""CQL tables of the ledger, as migrations.

ledger: a row for each mail; `letter`: one for each dead letter. Both are changed by lightweight
transactions only. The other tables lead to these rows. Rows by time are entries of due.py.
"""

import msgspec

from schemas.cql.due import DUE_TABLES
from schemas.cql.tables import Migration, Table
from schemas.ids import MailId
from schemas.ledger import DeadLetterState, LedgerEntry, LogPlace

PERIOD_MS = 1 << 31  # of the mails of a user, or with a header: 24.8 days


class StoredEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mail. `version` grows with each change; `look_at_ms` None: the mail is closed."""

    entry: LedgerEntry
    look_at_ms: int | None
    version: int = 1
    header_hash: int | None = None
    place: LogPlace | None = None

    @property
    def mail_id(self) -> MailId:
        return self.entry.mail_id


class StoredLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A dead letter. `is_reopened`: its mail was opened again after the last change."""

    letter: DeadLetterState
    is_reopened: bool = False


LEDGER = Table(name="ledger", partition=("mail_id",), values=("row",))
LETTER = Table(name="letter", partition=("letter_id",), values=("row",))
LETTER_OF_MAIL = Table(name="letter_of_mail", partition=("mail_id",), clustering=("letter_id",))
MAIL_OF_MESSAGE = Table(
    name="mail_of_message", partition=("message_id",), values=("mail_id", "user_id")
)
# By a name: `user:ID` or `header:HASH`.
MAIL_OF = Table(
    name="mail_of", partition=("name", "period"), clustering=("accepted_at_ms", "mail_id")
)
PERIOD_OF = Table(name="period_of", partition=("name",), clustering=("period",))
LEDGER_TABLES: tuple[Migration, ...] = (
    (
        LEDGER.create("mail_id text, row blob"),
        LETTER.create("letter_id text, row blob"),
        LETTER_OF_MAIL.create("mail_id text, letter_id text"),
        MAIL_OF_MESSAGE.create("message_id text, mail_id text, user_id text"),
        MAIL_OF.create(
            "name text, period bigint, accepted_at_ms bigint, mail_id text",
            "CLUSTERING ORDER BY (accepted_at_ms DESC, mail_id DESC)",
        ),
        PERIOD_OF.create("name text, period bigint", "CLUSTERING ORDER BY (period DESC)"),
        *DUE_TABLES,
    ),
)

"""CQL tables of the relay queue, as migrations.

relay_mail: the rows of a mail and a destination. relay_turn: when a destination has its next turn.
Both are changed by lightweight transactions only. Rows by time are entries of due.py.
"""

import msgspec

from schemas.cql.due import DUE_TABLES
from schemas.cql.tables import Migration, Table
from schemas.events.sending import MailRelay
from schemas.relay import RelayRow


class StoredRelay(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mail and its rows for one destination. `version` grows with each change."""

    mail: MailRelay
    rows: tuple[RelayRow, ...]
    version: int = 1
    is_released: bool = False  # its content is no longer held


class DestinationTurn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a destination has its turn; None: it has no row that waits."""

    turn_at_ms: int | None
    claimed_at_ms: int = 0
    version: int = 1


RELAY_MAIL = Table(name="relay_mail", partition=("mail_id", "destination"), values=("row",))
RELAY_TURN = Table(name="relay_turn", partition=("destination", "log_partition"), values=("row",))
RELAY_REPORT = Table(
    name="relay_report", partition=("report_id",), values=("mail_id", "destination")
)
RELAY: tuple[Migration, ...] = (
    (
        RELAY_MAIL.create("mail_id text, destination text, row blob"),
        RELAY_TURN.create("destination text, log_partition int, row blob"),
        RELAY_REPORT.create("report_id text, mail_id text, destination text"),
        *DUE_TABLES,
    ),
)

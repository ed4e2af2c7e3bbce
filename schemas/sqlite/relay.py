"""Tables of the relay queue, as migrations."""

from schemas.sqlite.migrations import Statements

# relay_mail.settled_at_ms: when its last row ended; NULL: a row is open or its result unreported.
# relay_recipient.next_attempt_at_ms: of a claimed row the end of its claim, of a done row its end.
# relay_destination.turn_at_ms: the later of its last claim and its first due row; NULL: no row.
_DUE = "state = 'waiting' AND report_id = ''"
RELAY: tuple[Statements, ...] = (
    (
        """CREATE TABLE relay_mail (
            mail_id TEXT NOT NULL,
            destination TEXT NOT NULL,
            settled_at_ms INTEGER,
            is_released INTEGER NOT NULL DEFAULT 0,
            mail BLOB NOT NULL,
            PRIMARY KEY (mail_id, destination)
        ) STRICT, WITHOUT ROWID""",
        """CREATE INDEX relay_mail_settled ON relay_mail (is_released, settled_at_ms)
            WHERE settled_at_ms IS NOT NULL""",
        """CREATE TABLE relay_recipient (
            mail_id TEXT NOT NULL,
            destination TEXT NOT NULL,
            address TEXT NOT NULL,
            partition INTEGER NOT NULL,
            queued_at_ms INTEGER NOT NULL,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            next_attempt_at_ms INTEGER NOT NULL,
            claim TEXT NOT NULL DEFAULT '',
            marked_at_ms INTEGER,
            report_id TEXT NOT NULL DEFAULT '',
            is_delay_notified INTEGER NOT NULL DEFAULT 0,
            recipient BLOB NOT NULL,
            result BLOB,
            PRIMARY KEY (mail_id, destination, address)
        ) STRICT, WITHOUT ROWID""",
        f"""CREATE INDEX relay_due ON relay_recipient (destination, next_attempt_at_ms)
            WHERE {_DUE}""",
        """CREATE INDEX relay_claimed ON relay_recipient (partition, claim)
            WHERE claim != '' AND marked_at_ms IS NULL""",
        """CREATE INDEX relay_unreported ON relay_recipient (partition, report_id)
            WHERE report_id != ''""",
        """CREATE INDEX relay_report ON relay_recipient (report_id) WHERE report_id != ''""",
        """CREATE INDEX relay_open ON relay_recipient (destination, state, queued_at_ms)
            WHERE state != 'done'""",
        """CREATE TABLE relay_destination (
            destination TEXT PRIMARY KEY NOT NULL,
            partition INTEGER NOT NULL,
            claimed_at_ms INTEGER NOT NULL DEFAULT 0,
            turn_at_ms INTEGER
        ) STRICT, WITHOUT ROWID""",
        """CREATE INDEX relay_turn ON relay_destination (partition, turn_at_ms)
            WHERE turn_at_ms IS NOT NULL""",
    ),
)

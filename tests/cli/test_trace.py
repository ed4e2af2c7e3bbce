"""The text of `postriver trace` for a mail with many owners."""

from cli.commands.trace import SHOWN_MAX, summary
from operations.trace import WAITING, DeliveryEnd
from schemas.ledger import STORED

STORED_ENDS = [
    DeliveryEnd(
        state=STORED,
        where=f"stored for user u{n}",
        user_id=f"u{n}",
        address=f"u{n}@a.test",
        deleted=n % 4 == 0,
    )
    for n in range(100)
]


def test_owners_are_counted_and_what_has_not_arrived_is_shown() -> None:
    waiting = [DeliveryEnd(state=WAITING, where=f"on mailbox.commands {n}") for n in range(30)]
    counts, hint, *shown = summary(STORED_ENDS + waiting)
    assert counts == "75 stored, 30 waiting, 25 deleted"
    assert hint.startswith(f"{SHOWN_MAX + 1} of 130 shown; --user ")
    assert shown == [end.where for end in waiting[:SHOWN_MAX]] + ["stored for user u0"]

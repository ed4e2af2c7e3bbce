"""The text of `postriver trace` for a mail with many owners."""

import pytest

from cli.commands.trace import SHOWN_MAX, summary
from mail.errors import NotFound
from operations.trace import WAITING, DeliveryEnd, of_owner
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


def test_one_owner_is_found_by_address_and_by_id() -> None:
    assert of_owner(STORED_ENDS, "U7@a.test") == of_owner(STORED_ENDS, "u7") == [STORED_ENDS[7]]
    with pytest.raises(NotFound, match="nobody"):
        of_owner(STORED_ENDS, "nobody@a.test")

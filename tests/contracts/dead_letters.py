"""Contract of the DeadLetters port.

Fixtures: `dead_letters`; `park`, an async function that parks an event of a mail, with its time;
`redrive`, an async function that redrives a dead letter by id; `unreachable_dead_letters`.
"""

import pytest

from mail.clock import now_ms
from mail.errors import BrokerUnavailable
from mail.ids import new_id
from schemas.ledger import PARKED, REDRIVEN


class DeadLettersContract:
    async def test_each_letter_is_listed_once_in_its_present_state(
        self, dead_letters, park, redrive
    ):
        mail_ids = [new_id(), new_id()]
        for mail_id in mail_ids:
            await park(mail_id)
        letters = {row.mail_id: row for row in await dead_letters.since(0)}
        assert [letters[mail_id].state for mail_id in mail_ids] == [PARKED, PARKED]
        await redrive(letters[mail_ids[0]].letter_id)
        rows = [row for row in await dead_letters.since(0) if row.mail_id in mail_ids]
        assert {row.mail_id: row.state for row in rows} == {
            mail_ids[0]: REDRIVEN,
            mail_ids[1]: PARKED,
        }
        assert len(rows) == 2

    async def test_letters_from_long_before_are_not_listed(self, dead_letters, park):
        mail_id = new_id()
        await park(mail_id)
        rows = await dead_letters.since(now_ms() + 10 * 86_400_000)
        assert mail_id not in {row.mail_id for row in rows}

    async def test_an_unreachable_log_raises_broker_unavailable(self, unreachable_dead_letters):
        with pytest.raises(BrokerUnavailable):
            await unreachable_dead_letters.since(0)

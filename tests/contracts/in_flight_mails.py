"""Contract of the InFlightMails port.

Fixtures: `in_flight`; `log`, with `append(topic, mail_id)` and `finish(topic)`, which commits every
record of the topic; `cut_off`, a function that makes the log unreachable.
"""

import pytest

from mail.errors import Transient


class InFlightMailsContract:
    async def test_no_mail_waits_in_an_empty_log(self, in_flight):
        assert await in_flight.waiting(["m1"]) == {}
        assert await in_flight.waiting([]) == {}

    async def test_a_record_waits_until_its_reader_has_finished_it(self, in_flight, log):
        log.append("mail.received", "m1")
        log.append("mail.validated", "m2")
        log.append("mail.validated", "not searched")
        waiting = await in_flight.waiting(["m1", "m2", "m3"])
        assert waiting.keys() == {"m1", "m2"}
        log.finish("mail.received")
        assert (await in_flight.waiting(["m1", "m2", "m3"])).keys() == {"m2"}

    async def test_a_command_waits_for_its_user_and_a_mail_for_every_user(self, in_flight, log):
        log.append("mail.scanned", "m1")
        log.append("mailbox.commands", "m2")
        assert await in_flight.waiting(["m1", "m2"]) == {
            "m1": frozenset({""}),
            "m2": frozenset({"u1"}),
        }

    async def test_a_log_that_cannot_be_searched_raises_transient(self, in_flight, cut_off):
        cut_off()
        with pytest.raises(Transient):
            await in_flight.waiting(["m1"])

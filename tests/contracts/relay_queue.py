"""What every RelayQueue does. Inherit, give a `queue` fixture: the adapter is held to it."""

import msgspec
import pytest

from mail.errors import Refused
from mail.ports.relay_queue import ClaimLost
from schemas.content import Stored
from schemas.events.sending import MailRelay
from schemas.relay import OldestRows, RelayBatch, RelayFilter, RelayOutcome
from schemas.submissions import RecipientResult, RequestedRecipient

EVERY = range(12)
FAR = 10_000_000  # the end of claims in these tests


def relay(name: str, *local: str, destination: str = "example.net", **fields) -> MailRelay:
    plain = {
        "mail_id": name,
        "submission_id": name,
        "user_id": "ann",
        "domain_id": "d1",
        "destination": destination,
        "reverse_path": "ann@postriver.test",
        "recipients": tuple(
            RequestedRecipient(address=f"{each}@{destination}") for each in local or ("bob",)
        ),
        "content": Stored(name, 10, "0" * 64),
        "received_at_ms": 1_000,
        "queued_at_ms": 1_000,
    }
    return MailRelay(**(plain | fields))


def outcomes(batch: RelayBatch, status: str, at_ms: int, **fields) -> list[RelayOutcome]:
    return [
        RelayOutcome(
            row=row,
            result=RecipientResult(
                address=row.recipient.address,
                status=status,
                attempts=row.attempts,
                at_ms=at_ms,
                **fields,
            ),
        )
        for row in batch.rows
    ]


def names(batches) -> list[str]:
    return [batch.mail.mail_id for batch in batches]


class RelayQueueContract:
    async def put(self, queue, *mails, at_ms: int = 1_000, partition: int = 3) -> None:
        for mail in mails:
            await queue.put(mail, partition=partition, at_ms=at_ms)

    async def claim(self, queue, now_ms: int = 2_000, claim: str = "p1", **fields):
        given = {"partitions": EVERY, "until_ms": FAR, "limit": 100} | fields
        partitions = given.pop("partitions")
        return await queue.claim(partitions, claim=claim, now_ms=now_ms, **given)

    async def reported(self, queue) -> None:
        reports = await queue.unreported(EVERY, limit=500)
        await queue.set_reported([report.report_id for report in reports])

    async def test_an_empty_one(self, queue):
        assert await self.claim(queue) == []
        assert await queue.unreported(EVERY, limit=9) == []
        assert await queue.settled(limit=9) == []
        assert await queue.delete_released(before_ms=FAR, limit=9) == 0
        for limit in (0, 501):
            with pytest.raises(Refused):
                await self.claim(queue, limit=limit)

    async def test_due_rows_are_claimed_once(self, queue):
        mail = relay("m1", "bob", "cid")
        await self.put(queue, mail)
        assert await self.claim(queue, 999) == []
        (batch,) = await self.claim(queue)
        assert batch.mail == mail
        assert [row.recipient for row in batch.rows] == list(mail.recipients)
        assert {(row.claim, row.attempts, row.state) for row in batch.rows} == {
            ("p1", 1, "waiting")
        }
        await self.put(queue, mail)  # again
        assert await self.claim(queue) == []
        assert await self.claim(queue, claim="p2") == []

    async def test_a_claim_ends_with_its_time(self, queue):
        await self.put(queue, relay("m1"))
        (first,) = await self.claim(queue, until_ms=5_000)
        assert await self.claim(queue, 4_999, "p2") == []
        (second,) = await self.claim(queue, 5_000, "p2")
        assert (second.rows[0].claim, second.rows[0].attempts) == ("p2", 2)
        with pytest.raises(ClaimLost):
            await queue.mark(first.rows, at_ms=5_001, until_ms=FAR)
        await queue.mark(second.rows, at_ms=5_001, until_ms=FAR)

    async def test_only_rows_of_the_partitions_are_claimed(self, queue):
        await self.put(queue, relay("m1"))
        assert await self.claim(queue, partitions=[1, 2]) == []
        assert names(await self.claim(queue, partitions=[3])) == ["m1"]

    async def test_destinations_take_turns(self, queue):
        many = [relay(f"a{number}", destination="a.example") for number in range(5)]
        for at_ms, mail in enumerate(many):
            await self.put(queue, mail, at_ms=at_ms)
        await self.put(queue, relay("b", destination="b.example"), at_ms=900)
        await self.put(queue, relay("c", destination="c.example"), at_ms=800, partition=4)
        assert names(await self.claim(queue, 1_000, limit=1)) == ["a0"]
        assert names(await self.claim(queue, 1_001, limit=1)) == ["c"]
        assert names(await self.claim(queue, 1_002, limit=1)) == ["b"]
        assert names(await self.claim(queue, 1_003)) == ["a1"]
        assert await self.claim(queue, 1_004, busy=["a.example"]) == []
        assert names(await self.claim(queue, 1_005, busy=["b.example"])) == ["a2"]

    async def test_a_mail_of_two_domains_has_two_batches(self, queue):
        await self.put(queue, relay("m1"), relay("m1", destination="example.org"))
        batches = await self.claim(queue)
        assert {batch.mail.destination for batch in batches} == {"example.net", "example.org"}

    async def test_a_batch_has_at_most_100_rows(self, queue):
        await self.put(queue, relay("m1", *(f"u{number}" for number in range(130))))
        sizes = [len(batch.rows) for _ in range(3) for batch in await self.claim(queue)]
        assert sizes == [100, 30]

    async def test_claims_of_a_process_that_ended_are_released(self, queue):
        await self.put(queue, relay("m1", "bob"), relay("m2"), relay("m3"))
        batches = [batch for _ in range(3) for batch in await self.claim(queue)]
        lost, in_doubt, _ = batches
        await queue.mark(in_doubt.rows, at_ms=2_000, until_ms=8_000)
        assert await queue.release_claims(EVERY, claim="p1", now_ms=3_000) == 0
        assert await queue.release_claims([9], claim="p2", now_ms=3_000) == 0
        assert await queue.release_claims(EVERY, claim="p2", now_ms=3_000) == 2
        again = [batch for _ in range(3) for batch in await self.claim(queue, 3_000, "p2")]
        assert set(names(again)) == {names(batches)[0], names(batches)[2]}
        with pytest.raises(ClaimLost):
            await queue.mark(lost.rows, at_ms=3_001, until_ms=FAR)
        assert names(await self.claim(queue, 8_000, "p2")) == names([in_doubt])

    async def test_marks_are_all_or_none(self, queue):
        await self.put(queue, relay("m1", "bob"), relay("m2", "cid"))
        first, second = [batch for _ in range(2) for batch in await self.claim(queue)]
        stranger = msgspec.structs.replace(second.rows[0], claim="p9")
        with pytest.raises(ClaimLost):
            await queue.mark([*first.rows, stranger], at_ms=2_000, until_ms=8_000)
        assert await queue.release_claims(EVERY, claim="p2", now_ms=3_000) == 2

    async def test_a_deferred_row_waits_and_is_reported_first(self, queue):
        await self.put(queue, relay("m1", "bob", "cid"))
        (batch,) = await self.claim(queue)
        await queue.mark(batch.rows, at_ms=2_500, until_ms=FAR)
        late = {"next_attempt_at_ms": 9_000, "is_delay": True}
        await queue.record(outcomes(batch, "deferred", 3_000, **late))
        assert await self.claim(queue, 9_000) == []
        (report,) = await queue.unreported(EVERY, limit=9)
        assert report.mail == batch.mail
        assert [result.address for result in report.results] == [
            "bob@example.net", "cid@example.net",
        ]  # fmt: skip
        assert {result.status for result in report.results} == {"deferred"}
        assert await queue.unreported([1], limit=9) == []
        await queue.record(outcomes(batch, "relayed", 3_001))  # the first result counts
        await self.reported(queue)
        assert await queue.unreported(EVERY, limit=9) == []
        assert await self.claim(queue, 8_999) == []
        (again,) = await self.claim(queue, 9_000)
        assert {(row.attempts, row.is_delay_notified) for row in again.rows} == {(2, True)}
        assert {row.result.status for row in again.rows} == {"deferred"}
        assert {row.marked_at_ms for row in again.rows} == {None}

    async def test_results_of_one_call_are_one_report(self, queue):
        await self.put(queue, relay("m1", "bob", "cid"))
        (batch,) = await self.claim(queue)
        bob, cid = outcomes(batch, "failed", 3_000)
        await queue.record([bob])
        await queue.record([cid])
        reports = await queue.unreported(EVERY, limit=9)
        assert len({report.report_id for report in reports}) == len(reports) == 2
        assert len(await queue.unreported(EVERY, limit=1)) == 1

    @pytest.mark.parametrize("status", ["relayed", "failed"])
    async def test_a_done_row_is_never_sent_again(self, queue, status):
        await self.put(queue, relay("m1"))
        (batch,) = await self.claim(queue)
        await queue.record(outcomes(batch, status, 3_000))
        await self.reported(queue)
        await queue.record(outcomes(batch, "deferred", 3_001, next_attempt_at_ms=4_000))
        await self.put(queue, relay("m1"))
        assert await queue.release_claims(EVERY, claim="p2", now_ms=FAR) == 0
        assert await self.claim(queue, FAR * 2) == []
        with pytest.raises(ClaimLost):
            await queue.mark(batch.rows, at_ms=3_002, until_ms=FAR)

    async def test_a_late_process_reports_only_what_it_delivered(self, queue):
        await self.put(queue, relay("m1"))
        (late,) = await self.claim(queue, until_ms=5_000)
        (present,) = await self.claim(queue, 5_000, "p2")
        await queue.record(outcomes(late, "failed", 6_000))
        assert await queue.unreported(EVERY, limit=9) == []
        await queue.record(outcomes(late, "relayed", 6_000))
        with pytest.raises(ClaimLost):
            await queue.mark(present.rows, at_ms=6_001, until_ms=FAR)
        (report,) = await queue.unreported(EVERY, limit=9)
        assert [result.status for result in report.results] == ["relayed"]

    async def test_a_mail_is_settled_once_every_row_is_done_and_reported(self, queue):
        await self.put(queue, relay("m1", "bob", "cid"))
        (batch,) = await self.claim(queue)
        bob, cid = outcomes(batch, "relayed", 3_000)
        await queue.record([bob])
        await self.reported(queue)
        assert await queue.settled(limit=9) == []
        await queue.record([cid])
        assert await queue.settled(limit=9) == []
        await self.reported(queue)
        (mail,) = await queue.settled(limit=9)
        assert (mail.mail_id, mail.destination) == ("m1", "example.net")
        assert await queue.delete_released(before_ms=FAR, limit=9) == 0
        await queue.set_released([mail])
        assert await queue.settled(limit=9) == []
        assert await queue.delete_released(before_ms=3_000, limit=9) == 0
        assert await queue.delete_released(before_ms=3_001, limit=9) == 1
        assert await queue.delete_released(before_ms=FAR, limit=9) == 0

    async def test_operators_find_rows_by_any_condition(self, queue):
        late = relay("m2", "dan", destination="example.org", user_id="eve", queued_at_ms=9_000)
        await self.put(queue, relay("m1", "bob", "cid"), late)
        everything = await queue.find(RelayFilter(), limit=9)
        assert [each.row.recipient.address for each in everything] == [
            "bob@example.net", "cid@example.net", "dan@example.org",
        ]  # fmt: skip
        assert everything[2].mail == late
        for conditions, found in (
            ({"mail_id": "m1"}, 2),
            ({"address": "BOB@example.net"}, 1),
            ({"destination": "example.org"}, 1),
            ({"user_id": "eve"}, 1),
            ({"queued_before_ms": 9_000}, 2),
            ({"state": "held"}, 0),
            ({"reason": "busy"}, 0),
        ):
            assert len(await queue.find(RelayFilter(**conditions), limit=9)) == found, conditions
        first = ("m1", "example.net", "bob@example.net")
        assert len(await queue.find(RelayFilter(), after=first, limit=1)) == 1
        loads = await queue.loads(now_ms=9_000 + 3_600_000, limit=9)
        assert [(each.destination, each.rows, each.by_age[:2]) for each in loads] == [
            ("example.net", 2, (2, 0)), ("example.org", 1, (1, 0)),
        ]  # fmt: skip
        assert await queue.counts() == {"waiting": 3}

    async def test_the_oldest_rows_are_known(self, queue):
        assert await queue.oldest() == OldestRows()
        await self.put(queue, relay("m1", "bob", "cid"))
        first = await queue.oldest()
        assert first.queued_at_ms == relay("m1").queued_at_ms
        (batch,) = await self.claim(queue)
        assert (await queue.oldest()).due_at_ms == FAR > first.due_at_ms
        await queue.record(outcomes(batch, "deferred", 3_000, next_attempt_at_ms=9_000))
        assert (await queue.oldest()).due_at_ms is None  # no attempt before the report
        await self.reported(queue)
        assert (await queue.oldest()).due_at_ms == 9_000
        keys = [("m1", "example.net", f"{name}@example.net") for name in ("bob", "cid")]
        await queue.change(keys, "hold", at_ms=4_000)
        assert await queue.oldest() == OldestRows()

    async def test_an_operator_holds_and_releases(self, queue):
        await self.put(queue, relay("m1", "bob", "cid"))
        bob = ("m1", "example.net", "bob@example.net")
        assert await queue.change([bob, ("m9", "x", "y")], "hold", at_ms=1_500) == [bob]
        assert await queue.change([bob], "hold", at_ms=1_500) == []
        (batch,) = await self.claim(queue)
        assert [row.recipient.address for row in batch.rows] == ["cid@example.net"]
        assert await self.claim(queue, FAR - 1) == []
        assert await queue.counts() == {"held": 1, "waiting": 1}
        assert await queue.change([bob], "release", at_ms=3_000) == [bob]
        (batch,) = await self.claim(queue, 3_000)
        assert [row.recipient.address for row in batch.rows] == ["bob@example.net"]

    async def test_what_an_operator_changes_is_not_sent_by_its_claim(self, queue):
        await self.put(queue, relay("m1"))
        (batch,) = await self.claim(queue)
        key = ("m1", "example.net", "bob@example.net")
        assert await queue.change([key], "retry", at_ms=2_000) == []
        assert await queue.change([key], "hold", at_ms=2_000) == [key]
        with pytest.raises(ClaimLost):
            await queue.mark(batch.rows, at_ms=2_001, until_ms=FAR)
        assert await queue.change([key], "retry", at_ms=2_002) == [key]
        (batch,) = await self.claim(queue, 2_002)
        await queue.mark(batch.rows, at_ms=2_003, until_ms=FAR)
        for action in ("hold", "cancel", "bounce", "retry"):
            assert await queue.change([key], action, at_ms=2_004) == []

    @pytest.mark.parametrize(("action", "status"), [("cancel", "canceled"), ("bounce", "failed")])
    async def test_an_operator_ends_a_row(self, queue, action, status):
        await self.put(queue, relay("m1"))
        key = ("m1", "example.net", "bob@example.net")
        assert await queue.change([key], action, at_ms=2_000) == [key]
        assert await queue.change([key], action, at_ms=2_001) == []
        assert await self.claim(queue, FAR) == []
        (report,) = await queue.unreported(EVERY, limit=9)
        assert [(result.status, result.code) for result in report.results] == [(status, "5.7.0")]
        await self.reported(queue)
        assert len(await queue.settled(limit=9)) == 1

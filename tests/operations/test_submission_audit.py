"""Audit and trace of submissions: what has evidence is accounted for, everything else is named."""

from collections.abc import Collection

import pytest

from mail.ids import dated_id
from operations.ports import SubmissionAuditPorts
from operations.rejected import rejected
from operations.submission_audit import SubmissionReport, audit_submissions
from schemas.ids import MailId
from tests.agents.sending.world import AT_MS, SendingWorld, cancel, submit

BOB, EVE = "bob@postriver.test", "eve@postriver.test"


class InFlight:
    """The mails that wait in the log."""

    def __init__(self) -> None:
        self.mail_ids: set[str] = set()

    async def waiting(self, mail_ids: Collection[MailId]) -> dict[str, frozenset[str]]:
        return {mail_id: frozenset({""}) for mail_id in mail_ids if mail_id in self.mail_ids}


class AuditedWorld(SendingWorld):
    """A SendingWorld whose mailboxes may get or lose the copies in Sent."""

    def __init__(self) -> None:
        super().__init__()
        self.log = InFlight()
        self.copies: set[str] = set()
        self.queued: set[str] = set()

    async def audit(self, since_ms: int = AT_MS - 1, until_ms: int = AT_MS + 1) -> SubmissionReport:
        async def queued(_mail_id: MailId) -> Collection[str]:
            return self.queued

        ports = SubmissionAuditPorts(
            submissions=self.submissions,
            store=_Copies(self.copies),  # type: ignore[arg-type]
            in_flight=self.log,
            queued=queued,
        )
        return await audit_submissions(ports, since_ms=since_ms, until_ms=until_ms, pause_s=0)


class _Copies:
    def __init__(self, copies: set[str]) -> None:
        self._copies = copies

    async def message(self, _user_id: str, message_id: str) -> object | None:
        return object() if message_id in self._copies else None


@pytest.fixture
async def world() -> AuditedWorld:
    world = AuditedWorld()
    await world.prepare()
    return world


def name(number: int) -> str:
    return dated_id(AT_MS, str(number))


async def test_all_that_is_final_or_has_evidence_is_accounted_for(world: AuditedWorld) -> None:
    held = submit(name(1), BOB, fire_at_ms=AT_MS + 9)
    world.publish(submit(name(0), BOB, EVE), held, submit(name(2), BOB, fire_at_ms=AT_MS + 9))
    world.publish(cancel(name(2)))
    await world.settle()
    world.copies = {(await world.row(name(0))).message_id}
    report = await world.audit()
    assert (report.submissions, report.lost) == (3, ())
    assert report.counts == {"delivered": 2, "pending": 1, "canceled": 1}
    assert (await world.audit(AT_MS + 1, AT_MS + 2)).submissions == 0


async def test_a_submission_that_is_found_nowhere_is_named(world: AuditedWorld) -> None:
    world.publish(submit(name(0), BOB))
    await world.step()  # the row is written; its event is lost with the queue of this world
    lost = (await world.audit()).lost
    assert [(each.submission_id, "pending" in each.what) for each in lost] == [(name(0), True)]
    for evidence, value in ((world.log.mail_ids, name(0)), (world.queued, BOB)):
        evidence.add(value)
        assert (await world.audit()).lost == ()
        evidence.clear()


async def test_a_missing_copy_in_sent_is_named(world: AuditedWorld) -> None:
    world.publish(submit(name(0), BOB))
    await world.settle()
    report = await world.audit()
    assert [each.what for each in report.lost] == ["the copy in Sent does not exist"]
    assert report.counts["missing"] == 1


async def test_rejected_names_each_failed_recipient(world: AuditedWorld) -> None:
    world.publish(submit(name(0), BOB, "nobody@postriver.test"), submit(name(1), "x@far.test"))
    await world.settle()
    rows = await rejected(world.submissions, since_ms=AT_MS - 1, limit=9)
    assert {(each.address, each.code) for each in rows} == {
        ("nobody@postriver.test", "5.1.1"), ("x@far.test", "5.7.1"),
    }  # fmt: skip
    assert len(await rejected(world.submissions, since_ms=AT_MS - 1, limit=1)) == 1
    assert await rejected(world.submissions, since_ms=AT_MS + 1, limit=9) == []

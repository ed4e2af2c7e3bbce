"""Notices: each cause once a day, in the log and in the postmaster's mailbox."""

from pathlib import Path

import pytest

from cli.roles.notifier import Notifier
from mail.directory.recipient_resolver import DirectoryResolver
from mail.errors import BrokerUnavailable, NotFound
from mail.ids import time_ms
from mail.operator_notices import notices_of
from operations import accounts
from schemas.events.mail import MailScanned
from stores.memory.directory import MemoryDirectory
from stores.memory.streams import MemoryPublisher

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000
HELD = {"engine": "clamd", "since_ms": NOW_MS - 16 * 60_000, "detail": "no answer"}
STATUS = {
    "warnings": ["disk: 1800 MiB free at /x; at half of that mail is refused"],
    "roles": [{"name": "scan", "held": [HELD, HELD]}, {"name": "index", "held": []}],
}


class Desk:
    """A notifier over memory adapters, with a clock, and a broker that can be down."""

    def __init__(self, folder: Path, directory: MemoryDirectory) -> None:
        self.folder, self.directory, self.now_ms = folder, directory, NOW_MS
        self.publisher = MemoryPublisher()
        self.down = False
        self.status = STATUS
        self.start()

    def start(self) -> None:
        self.notifier = Notifier(
            lambda: self.status, self.folder, hostname="mx.postriver.test",
            resolver=DirectoryResolver(self.directory, "mx.postriver.test"), publisher=self,
            now_ms=lambda: self.now_ms,
        )  # fmt: skip

    async def publish(self, *events) -> None:
        if self.down:
            raise BrokerUnavailable
        await self.publisher.publish(*events)

    @property
    def mails(self) -> list[MailScanned]:
        return self.publisher.events

    @property
    def lines(self) -> list[str]:
        path = self.folder / "notices.log"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    directory = MemoryDirectory()
    await accounts.add_domain(directory, "postriver.test")
    await accounts.add_user(directory, "ann@postriver.test", "a good secret")
    return Desk(tmp_path, directory)


def test_causes_stay_while_figures_change() -> None:
    later = {"warnings": ["disk: 1700 MiB free at /x; at half of that mail is refused"]}
    first, second = next(notices_of(STATUS, NOW_MS)), next(notices_of(later, NOW_MS))
    assert first.cause == second.cause
    assert first.text != second.text
    fresh = {"roles": [{"name": "scan", "held": [{**HELD, "since_ms": NOW_MS - 60_000}]}]}
    assert list(notices_of(fresh, NOW_MS)) == []
    assert list(notices_of({}, NOW_MS)) == []


async def test_each_cause_is_told_once_a_day_across_starts(desk: Desk) -> None:
    await desk.notifier.look()
    await desk.notifier.look()
    assert [line.split()[1].partition("-")[0] for line in desk.lines] == ["warning", "held"]
    assert len(desk.mails) == 2
    desk.start()
    desk.now_ms += 60_000
    await desk.notifier.look()
    assert len(desk.lines) == 2
    assert len(desk.mails) == 4  # published again, with the same id
    assert {mail.mail_id for mail in desk.mails[:2]} == {mail.mail_id for mail in desk.mails[2:]}
    desk.now_ms += DAY_MS
    await desk.notifier.look()
    assert len(desk.lines) == 4
    assert len({mail.mail_id for mail in desk.mails}) == 4


async def test_what_could_not_be_sent_is_sent_later_and_written_once(desk: Desk) -> None:
    desk.down = True
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            await desk.notifier.look()
    assert len(desk.lines) == 1
    desk.down = False
    await desk.notifier.look()
    assert (len(desk.lines), len(desk.mails)) == (2, 2)


async def test_the_mail_is_a_mail_and_goes_to_the_named_postmaster(desk: Desk) -> None:
    named = await accounts.set_postmaster(desk.directory, "postriver.test", "ann@postriver.test")
    await desk.notifier.look()
    mail = desk.mails[0]
    assert [one.user_id for one in mail.envelope.recipients] == [named.user_id]
    assert mail.envelope.reverse_path == ""
    assert time_ms(mail.mail_id) == NOW_MS // DAY_MS * DAY_MS
    assert mail.head.subject == "Postriver on mx.postriver.test needs you: warning"
    assert b"Auto-Submitted: auto-generated\r\n" in mail.content.data
    assert b"1800 MiB" in mail.content.data
    assert mail.verdict.outcome == "clean"
    assert "not scanned" in mail.verdict.detail


async def test_roles_reach_who_was_named_and_abuse_too(desk: Desk) -> None:
    resolver = DirectoryResolver(desk.directory, "mx.postriver.test")
    (first,) = await resolver.resolve("abuse@postriver.test")
    assert first.user.address == "postmaster@postriver.test"
    ann = await accounts.set_postmaster(desk.directory, "postriver.test", "ann@postriver.test")
    for path in ("postmaster", "Postmaster@PostRiver.test", "ABUSE@postriver.test"):
        assert [owner.user for owner in await resolver.resolve(path)] == [ann]
    box = "postmaster@postriver.test"
    await accounts.set_postmaster(desk.directory, "postriver.test", box)
    reader = await accounts.postmaster_of(desk.directory, "postriver.test")
    assert reader.address == box
    assert [owner.user for owner in await resolver.resolve("postmaster")] == [reader]
    with pytest.raises(NotFound):
        await accounts.postmaster_of(desk.directory, "nowhere.test")
    for domain, address in (("nowhere.test", box), ("postriver.test", "x@postriver.test")):
        with pytest.raises(NotFound):
            await accounts.set_postmaster(desk.directory, domain, address)

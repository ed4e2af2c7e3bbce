"""The stages of a sent mail over ports in memory; a queue of events takes the broker's place.

Every event may be handled several times, as after a crash; outputs of a repeat are published again.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from agents.ports import IntakePorts, RelayPorts, ScanPorts, SubmissionPorts, SubmittedPorts
from agents.reject import reject
from agents.relay import relay as queue_stage
from agents.relaying.outbound import Outbound
from agents.route import route
from agents.scan import scan
from agents.submission import submission
from agents.validate_submitted import validate_submitted
from mail.directory.recipient_resolver import DirectoryResolver
from mail.ids import note_id
from mail.ports import QuotaCheck
from mail.sending.relay_setting import RelaySetting
from mail.sending.sender_check import SenderCheck
from scanners.memory import MemorySpamScanner, MemoryVirusScanner
from schemas.content import Inline
from schemas.directory import Domain, Owner, User
from schemas.events.mailbox_commands import Deliver, NoteSubmission
from schemas.events.sending import CancelSubmission, FireSubmission, Submit
from schemas.submissions import RequestedRecipient, Submission, SubmittedMail
from stores.memory import (
    MemoryContentStore,
    MemoryDirectory,
    MemoryHolders,
    MemoryOutlineStore,
    MemoryQuarantine,
    MemoryRelayQueue,
    MemorySubmissions,
)
from streams.topology import TOPIC_OF, stage_that_reads
from tests.support.agent_builders import OneTry

AT_MS = 1_800_000_000_000
MAIL = (
    b"From: Ann <ann@postriver.test>\r\nTo: bob@postriver.test\r\nSubject: Tea\r\n\r\nAt four?\r\n"
)


def user(user_id: str) -> User:
    return User(
        user_id=user_id,
        domain_id="d1",
        address=f"{user_id}@postriver.test",
        password_hash="",
        disabled=False,
        created_at_ms=1,
    )


class Room(QuotaCheck):
    """Mailboxes of users, of which those in `full` have no room."""

    def __init__(self) -> None:
        self.full: set[str] = set()

    async def has_room(self, owners: Sequence[Owner], *, size_bytes: int) -> bool:
        assert size_bytes > 0
        return any(owner.user.user_id not in self.full for owner in owners)


class SendingWorld:
    """Users ann, bob and eve of the domain postriver.test. `relay`: mail leaves for others."""

    def __init__(self, dice: random.Random | None = None, *, relay: bool = False) -> None:
        self.dice = dice
        self.queue = MemoryRelayQueue()
        self.directory = MemoryDirectory()
        self.contents = MemoryContentStore()
        self.outlines = MemoryOutlineStore()
        self.holders = MemoryHolders()
        self.quarantine = MemoryQuarantine()
        self.submissions = MemorySubmissions()
        self.spam = MemorySpamScanner()
        self.room = Room()
        self.commands: dict[str, Any] = {}  # to mailboxes, by command id: a repeat is one
        self._events: list[Any] = []
        self._handled: list[Any] = []  # commands of submissions
        self._offset = 0
        common = {"contents": self.contents, "outlines": self.outlines}
        sending = SubmissionPorts(
            submissions=self.submissions,
            contents=self.contents,
            holders=self.holders,
            hostname="mx.postriver.test",
        )
        submitted = SubmittedPorts(
            **common,
            resolver=DirectoryResolver(self.directory, "mx.postriver.test"),
            senders=SenderCheck(self.directory),
            room=self.room,
            relay=RelaySetting(mode="mx" if relay else "off"),
        )
        intake = IntakePorts(**common, holders=self.holders, quarantine=self.quarantine)
        self.outbound = Outbound(contents=self.contents)
        relaying = RelayPorts(queue=self.queue)
        scanners = ScanPorts(
            contents=self.contents,
            virus=MemoryVirusScanner(),
            spam=self.spam,
            quarantine=self.quarantine,
            holders=self.holders,
        )
        self._stages: dict[str, Callable[[Any, OneTry], Any]] = {
            "submission": lambda event, work: submission(event, work, sending),
            "validate_submitted": lambda event, work: validate_submitted(event, work, submitted),
            "reject": lambda event, work: reject(event, work, sending),
            "scan": lambda event, work: scan(event, work, scanners),
            "route": lambda event, work: route(
                event, work, replace(intake, outbound=self.outbound)
            ),
            "relay": lambda event, work: queue_stage(event, work, relaying),
        }

    async def prepare(self) -> "SendingWorld":
        domain = Domain(domain_id="d1", name="postriver.test", created_at_ms=1)
        await self.directory.add_domain(domain, user("ann"))
        for name in ("bob", "eve"):
            await self.directory.add_user(user(name))
        return self

    def publish(self, *events: Any) -> None:
        self._events += events

    def crash(self, count: int) -> None:
        """Handle the last `count` commands of submissions again, before all other events."""
        again = self._handled[max(0, len(self._handled) - count) :]
        self._handled = self._handled[: len(self._handled) - len(again)]
        self._events = [*again, *self._events]

    async def settle(self) -> None:
        """Handle all events and their outputs; with dice in random order, some of them repeatedly.

        Events of one user's submissions keep their order, as their partition does.
        """
        while self._events:
            await self.step()

    async def handle(self, count: int) -> None:
        """Handle at most `count` events."""
        for _ in range(count):
            if self._events:
                await self.step()

    async def step(self) -> None:
        """Handle one event."""
        event = self._events.pop(self._next())
        stage = stage_that_reads(TOPIC_OF[type(event)].name)
        if stage.name == "mailbox":
            self._command(event)
            return
        if stage.name == "submission":
            self._handled.append(event)
        for _ in range(self.dice.choice((1, 1, 2, 3)) if self.dice else 1):
            self._offset += 1
            outputs = await self._stages[stage.name](event, OneTry(offset=self._offset))
            self.publish(*outputs)

    def _next(self) -> int:
        if self.dice is None:
            return 0
        index = self.dice.randrange(len(self._events))
        topic = TOPIC_OF[type(self._events[index])].name
        return next(i for i, e in enumerate(self._events) if TOPIC_OF[type(e)].name == topic)

    def _command(self, command: Any) -> None:
        first = self.commands.setdefault(command.command_id, command)
        assert type(first) is type(command)
        if isinstance(command, NoteSubmission):
            assert first.outcome == command.outcome
        if isinstance(command, Deliver):
            assert _without_hops(first) == _without_hops(command)

    def delivered(self) -> set[tuple[str, str]]:
        """(user, folder) of each message; a message that is delivered twice fails."""
        messages = [each for each in self.commands.values() if isinstance(each, Deliver)]
        assert len({each.message_id for each in messages}) == len(messages)
        return {(each.user_id, each.folder_id) for each in messages}

    def note(self, command: Any) -> NoteSubmission:
        return self.commands[note_id(command.command_id)]

    async def statuses(self, mail_id: str) -> dict[str, str]:
        row = await self.row(mail_id)
        return {each.address: each.status for each in row.recipients}

    async def row(self, mail_id: str) -> Submission:
        row = await self.submissions.get(mail_id)
        assert row is not None
        return row


def _without_hops(command: Deliver) -> Deliver:
    """The command without what differs between two scans of the same mail."""
    return msgspec.structs.replace(command, hops=(), at_ms=0, verdict=None)


def submit(name: str, *to: str, content: bytes = MAIL, command_id: str = "", **fields) -> Submit:
    of_mail = {
        key: fields.pop(key) for key in list(fields) if key in SubmittedMail.__struct_fields__
    }
    mail = {
        "mail_id": name,
        "reverse_path": "ann@postriver.test",
        "recipients": tuple(RequestedRecipient(address=each) for each in to),
        "content": Inline(content),
    }
    return Submit(
        command_id=command_id or f"submit {name}",
        user_id="ann",
        domain_id="d1",
        mail=SubmittedMail(**(mail | of_mail)),
        **({"at_ms": AT_MS} | fields),
    )


def cancel(name: str, command_id: str = "c1") -> CancelSubmission:
    return CancelSubmission(
        command_id=command_id, user_id="ann", domain_id="d1", submission_id=name, at_ms=AT_MS + 2
    )


def fire(name: str) -> FireSubmission:
    return FireSubmission(
        command_id=f"fire {name}",
        user_id="ann",
        domain_id="d1",
        submission_id=name,
        at_ms=AT_MS + 3,
    )

"""Builders for tests of the stages: events with defaults, ports in memory, an attempt."""

from collections.abc import Callable

from agents.ports import MailboxPorts
from agents.suspended_mailboxes import SuspendedMailboxes
from mail.ids import derived_id, message_id
from schemas.content import Inline, Stored
from schemas.events.mail import MailReceived, MailScanned, MailValidated
from schemas.events.mailbox_commands import ChangeMessages, Deliver
from schemas.events.mailbox_events import Position
from schemas.mail import Envelope, HeaderSummary, Hop, Recipient, Verdict
from stores.memory import (
    MemoryContentStore,
    MemoryDirectory,
    MemoryHolders,
    MemoryMailboxStates,
    MemoryMailStore,
)

PLAIN = b"From: Kim <kim@example.kr>\r\nTo: bob@postriver.test\r\nSubject: Tea\r\n\r\nAt four?\r\n"
CLEAN = Verdict(outcome="clean", signatures="s1", spam_score=0.1, rules="r1")
TEA = HeaderSummary(subject="Tea")


def mailbox_ports(**given) -> MailboxPorts:
    """Ports in memory, except those in `given`."""
    plain = {
        "store": MemoryMailStore(),
        "states": MemoryMailboxStates(),
        "holders": MemoryHolders(),
        "contents": MemoryContentStore(),
        "suspended": SuspendedMailboxes(MemoryDirectory()),
    }
    return MailboxPorts(**(plain | given))


class OneTry:
    """An Attempt without a worker; its clock is the attempt number."""

    def __init__(
        self,
        *,
        offset: int = 0,
        attempt: int = 1,
        epoch: str = "e1",
        origins: tuple[Position, ...] = (),
    ) -> None:
        self.position = Position(epoch, 0, offset)
        self.origins = origins
        self.attempt = attempt
        self.beyond_journal = False
        self.beats = 0
        self._after: list[Callable[[], None]] = []

    def hop(self, verdict: str) -> Hop:
        return Hop(
            stage="stage",
            started_at_ms=1_000 * self.attempt,
            took_ms=1.0,
            verdict=verdict,
            attempt=self.attempt,
            worker="w1",
        )

    def committed(self) -> None:
        self.beyond_journal = True

    def beat(self) -> None:
        self.beats += 1

    def after_publish(self, then: Callable[[], None]) -> None:
        self._after.append(then)

    def published(self) -> None:
        for then in self._after:
            then()


def recipients(*user_ids: str) -> tuple[Recipient, ...]:
    return tuple(
        Recipient(address=f"{user_id}@postriver.test", user_id=user_id, domain_id="d1")
        for user_id in user_ids
    )


def received(content: bytes | Stored = PLAIN, *, mail_id: str = "m1", users=("bob",)):
    return MailReceived(
        mail_id=mail_id,
        envelope=Envelope(reverse_path="kim@example.kr", recipients=recipients(*users)),
        content=content if isinstance(content, Stored) else Inline(content),
        trace_size_bytes=0,
        received_at_ms=1_700_000_000_000,
    )


def validated(content: bytes | Stored = PLAIN, *, mail_id: str = "m1", users=("bob",)):
    mail = received(content, mail_id=mail_id, users=users)
    return MailValidated(
        mail_id=mail.mail_id,
        envelope=mail.envelope,
        content=mail.content,
        trace_size_bytes=0,
        received_at_ms=mail.received_at_ms,
        head=HeaderSummary(subject="Tea"),
    )


def scanned(verdict: Verdict = CLEAN, *, mail_id: str = "m1", users=("bob",)):
    mail = validated(mail_id=mail_id, users=users)
    return MailScanned(
        mail_id=mail.mail_id,
        envelope=mail.envelope,
        content=mail.content,
        trace_size_bytes=0,
        received_at_ms=mail.received_at_ms,
        head=mail.head,
        verdict=verdict,
    )


def deliver(
    mail_id: str = "m1",
    *,
    user_id: str = "bob",
    folder_id: str = "inbox",
    again: str = "",
    head: HeaderSummary = TEA,
    **fields,
):
    return Deliver(
        command_id=derived_id(mail_id, user_id, "deliver" + again),
        user_id=user_id,
        domain_id="d1",
        message_id=message_id(mail_id, user_id),
        mail_id=mail_id,
        folder_id=folder_id,
        keywords=(),
        content=Stored(mail_id, 10, "0" * 64),
        received_at_ms=1,
        at_ms=2,
        head=head,
        verdict=CLEAN,
        hops=(),
        **fields,
    )


def change(command_id: str, mail_id: str = "m1", *, user_id: str = "bob", add=(), remove=()):
    return ChangeMessages(
        **_ordered(command_id, user_id),
        message_ids=(message_id(mail_id, user_id),),
        add_keywords=tuple(add),
        remove_keywords=tuple(remove),
    )


def order(kind, command_id: str, *mail_ids: str, user_id: str = "bob", **fields):
    """A command of any kind; `mail_ids` name its messages."""
    if mail_ids:
        fields["message_ids"] = tuple(message_id(each, user_id) for each in mail_ids)
    return kind(**_ordered(command_id, user_id), **fields)


def _ordered(command_id: str, user_id: str):
    return {"command_id": command_id, "user_id": user_id, "domain_id": "d1", "at_ms": 3}

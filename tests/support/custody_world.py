"""Mails in every place where an accepted mail may be, over the adapters of a test."""

import msgspec

from agents.mailbox import mailbox
from mail.ports import ContentStore, InFlightMails, MailStore
from schemas.content import Stored
from schemas.ledger import PARKED, AcceptedMail, DeadLetterState
from schemas.mail import Envelope, HeaderSummary, Hop, Recipient, Verdict
from schemas.quarantine import Quarantined
from tests.support.agent_builders import OneTry, deliver, mailbox_ports


def accepted(mail_id: str, *users: str, at_ms: int = 1_000, header: str = "") -> AcceptedMail:
    return AcceptedMail(
        mail_id=mail_id,
        accepted_at_ms=at_ms,
        user_ids=users or ("ann",),
        message_id_header=header,
    )


def letter(
    mail_id: str, letter_id: str = "0-1", *, state: str = PARKED, **more: str
) -> DeadLetterState:
    return DeadLetterState(letter_id=letter_id, state=state, at_ms=2_000, mail_id=mail_id, **more)


def quarantined(mail_id: str, *users: str, content: Stored, reason: str = "spam") -> Quarantined:
    people = tuple(Recipient(f"{user}@x.test", user, "d1") for user in users or ("ann",))
    return Quarantined(
        mail_id=mail_id,
        reason=reason,
        verdict=Verdict(outcome=reason, virus="Odd" if reason == "infected" else ""),
        envelope=Envelope(reverse_path="s@x.test", recipients=people),
        head=HeaderSummary(subject="s", message_id=f"{mail_id}@q"),
        content=content,
        received_at_ms=1_000,
        quarantined_at_ms=1_001,
        hops=(),
    )


async def store_message(
    store: MailStore,
    contents: ContentStore,
    mail_id: str,
    user: str,
    *,
    hops: tuple[Hop, ...] = (),
) -> None:
    """As the mailbox stage would."""
    command = msgspec.structs.replace(
        deliver(mail_id, user_id=user),
        content=await contents.put(mail_id, b"bytes"),
        head=HeaderSummary(subject="s", message_id=f"{mail_id}@m"),
        hops=hops,
    )
    offset = (await store.load(user)).offset + 1
    await mailbox(command, OneTry(offset=offset), mailbox_ports(store=store))


class Log(InFlightMails):
    """What a test says is in the log; counts how often it was searched."""

    def __init__(self) -> None:
        self.there: dict[str, frozenset[str]] = {}
        self.searches = 0

    async def waiting(self, mail_ids):
        self.searches += 1
        return {id_: users for id_, users in self.there.items() if id_ in mail_ids}


class Letters:
    """The DeadLetters port: what a test says was parked."""

    def __init__(self) -> None:
        self.letters: list[DeadLetterState] = []

    async def since(self, at_ms: int) -> list[DeadLetterState]:
        del at_ms
        return list(self.letters)

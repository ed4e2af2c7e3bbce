"""Change feed: the steps of a mailbox after a state, whole or in parts.

A protocol with a limit on the changes of one answer (RFC 8620 §5.2: at most maxChanges ids) gets a
step of up to 500 changes in several answers. The state after such an answer is a position inside
the step, `EPOCH-SEQ.INDEX`: all of the steps up to SEQ, and INDEX parts of the next step. The
caller says what a part is: a changed message, a changed folder. A position is valid for the same
kind of part. Everywhere else a state is `EPOCH-SEQ`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mail.errors import JournalTruncated, Refused
from mail.ports import MailStore
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import UserId

STEPS_MAX = 32  # of one read; bounds memory, a step has up to 500 messages
_STATE = re.compile(r"([1-9][0-9]{0,17})-(0|[1-9][0-9]{0,17})(?:\.([1-9][0-9]{0,8}))?")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class FeedPosition:
    """All steps through `seq`, and the first `index` parts of the step after it."""

    seq: int
    index: int = 0

    def state(self, epoch: int) -> str:
        """Return the position as a state: `EPOCH-SEQ`, or `EPOCH-SEQ.INDEX` inside a step."""
        return f"{epoch}-{self.seq}" + (f".{self.index}" if self.index else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPart(Generic[T]):
    """Parts of steps in their order; `position` is after the last of them."""

    parts: list[T]
    position: FeedPosition
    latest_seq: int

    @property
    def more(self) -> bool:
        """Whether there are changes after `position`."""
        return self.position.seq < self.latest_seq


def position_of(state: str, epoch: int) -> FeedPosition:
    """Return the position of `state`, which `FeedPosition.state` made.

    Raises Refused: it is no state. JournalTruncated: it is of another epoch.
    """
    match = _STATE.fullmatch(state)
    if match is None:
        raise Refused(f"{state[:40]!r} is no state of a mailbox")
    if int(match[1]) != epoch:
        raise JournalTruncated(0)
    return FeedPosition(int(match[2]), int(match[3] or 0))


async def steps_since(
    store: MailStore, user_id: UserId, since_seq: int, *, limit: int = STEPS_MAX
) -> tuple[list[MailboxChanged], int]:
    """At most `limit` steps after `since_seq`, and the mailbox's last seq.

    A step is included only when all views have its changes. Raises JournalTruncated: the steps are
    folded, or `since_seq` is beyond the last seq, from another epoch or a removed mailbox.
    """
    latest_seq = (await store.state(user_id)).seq
    if since_seq > latest_seq:
        raise JournalTruncated(latest_seq)
    steps = await store.journal(user_id, since_seq=since_seq, limit=limit)
    return [step for step in steps if step.seq <= latest_seq], latest_seq


async def parts_since(
    store: MailStore,
    user_id: UserId,
    since: FeedPosition,
    parts_of: Callable[[MailboxChanged], Sequence[T]],
    *,
    limit: int,
) -> FeedPart[T]:
    """Return at most `limit` parts after `since`, the last step perhaps not whole; limit >= 1.

    `parts_of` gives the parts of a step, always the same for the same step. Work is bounded by
    `limit` parts and by the steps without a part among them. Raises JournalTruncated: the steps are
    folded, or there is no such position.
    """
    parts: list[T] = []
    position = since
    while True:
        steps, latest_seq = await steps_since(store, user_id, position.seq)
        if not steps and position.index:
            raise JournalTruncated(latest_seq)
        for step in steps:
            of_step = parts_of(step)
            if position.index > len(of_step):
                raise JournalTruncated(latest_seq)
            end = position.index + limit - len(parts)
            parts += of_step[position.index : end]
            is_whole = end >= len(of_step)
            position = FeedPosition(step.seq) if is_whole else FeedPosition(step.seq - 1, end)
            if len(parts) >= limit:
                return FeedPart(parts=parts, position=position, latest_seq=latest_seq)
        if position.seq >= latest_seq:
            return FeedPart(parts=parts, position=position, latest_seq=latest_seq)

"""One partition of mailbox.commands, driven step by step without an event loop.

The memory adapters await nothing but asyncio.sleep(0), so a coroutine can be advanced by one await
at a time, stopped there, or ended there as by `kill -9`.
"""

import asyncio
import itertools
from collections.abc import Generator, Sequence
from contextlib import suppress
from typing import Any

from agents.delivery_batch import deliver_together
from agents.mailbox import mailbox
from mail.errors import StoreUnavailable
from schemas.events.mailbox_commands import Command, Deliver
from schemas.events.unions import Event
from stores.memory import MemoryHolders, MemoryMailboxStates, MemoryMailStore, MemoryPublisher
from tests.support.agent_builders import OneTry, mailbox_ports

CHUNK_MAX = 2  # so that a few messages make several chunks


class Owner:
    """A worker that owns the partition, or believes that it does."""

    def __init__(self, river: "River", unread: MemoryMailboxStates) -> None:
        self._river = river
        self._ports = mailbox_ports(
            store=river.store, states=unread, holders=river.holders, chunk_max=CHUNK_MAX
        )
        self.unread = unread
        self.done: set[int] = set()

    async def handle_in_order(self, offsets: Sequence[int]) -> None:
        """Handle the commands of one user as the harness does, deliveries together if they can."""
        alone: set[int] = set()
        while offsets:
            group = [] if offsets[0] in alone else self._deliveries(offsets)
            if len(group) > 1 and await self._handle_together(group):
                offsets = offsets[len(group) :]
                continue
            alone.update(group)
            work, outputs = await self._outputs(offsets[0])
            await self._finish([work], outputs)
            offsets = offsets[1:]

    def _deliveries(self, offsets: Sequence[int]) -> list[int]:
        log = self._river.log
        return list(itertools.takewhile(lambda at: isinstance(log[at], Deliver), offsets))

    async def _handle_together(self, offsets: Sequence[int]) -> bool:
        works = [OneTry(offset=offset, attempt=1) for offset in offsets]
        commands = [self._river.log[offset] for offset in offsets]
        try:
            outputs = await deliver_together(commands, works, self._ports)
        except StoreUnavailable:
            return False
        if outputs is not None:
            await self._finish(works, [event for each in outputs for event in each])
        return outputs is not None

    async def _finish(self, works: Sequence[OneTry], outputs: Sequence[Event]) -> None:
        await self._river.publish(outputs)
        if self._river.owner is self:
            for work in works:
                work.published()
        await asyncio.sleep(0)
        if self._river.owner is self:
            self.done.update(work.position.offset for work in works)
            self._river.acknowledge(self)

    async def _outputs(self, offset: int) -> tuple[OneTry, Sequence[Event]]:
        """The outputs of a command; while the store fails, the same owner tries again."""
        for attempt in itertools.count(1):
            work = OneTry(offset=offset, attempt=attempt)
            with suppress(StoreUnavailable):
                return work, await mailbox(self._river.log[offset], work, self._ports)
        raise AssertionError


class River:
    """The log with its committed offsets, the store, and the published events."""

    def __init__(self) -> None:
        self.log: list[Command] = []
        self.committed = 0
        self.store = MemoryMailStore(fault=self._falter)
        self.holders = MemoryHolders()
        self.falters_in: list[int] = []  # steps of the store until it fails once, for each failure
        self.publisher = MemoryPublisher()
        self.owner = Owner(self, MemoryMailboxStates())

    def _falter(self, _step: str) -> None:
        if self.falters_in:
            self.falters_in[0] -= 1
            if self.falters_in[0] < 0:
                self.falters_in.pop(0)
                raise StoreUnavailable("store")

    @property
    def published(self) -> list[Event]:
        return [event for event in self.publisher.events if not isinstance(event, Command)]

    async def publish(self, outputs: Sequence[Event]) -> None:
        """Publish events; commands go to the end of the log."""
        await self.publisher.publish(*outputs)
        self.log += [output for output in outputs if isinstance(output, Command)]

    def acknowledge(self, owner: Owner) -> None:
        """Commit offsets strictly in order of arrival."""
        while self.committed in owner.done:
            self.committed += 1

    def take_over(self, *, stale: dict[str, Any]) -> Owner:
        """A new owner, whose table was recovered from an older state."""
        unread = MemoryMailboxStates()
        unread.states = stale
        self.owner = Owner(self, unread)
        return self.owner

    def chains(self, owner: Owner, *, window: int) -> list[Generator[Any, None, None]]:
        """The pending commands, as one coroutine per user."""
        by_user: dict[str, list[int]] = {}
        for offset in range(self.committed, min(len(self.log), self.committed + window)):
            if offset not in owner.done:
                by_user.setdefault(self.log[offset].user_id, []).append(offset)
        return [owner.handle_in_order(offsets) for offsets in by_user.values()]  # type: ignore[misc]


def advance(chain: Any, *, steps: int = 1) -> bool:
    """Let `chain` pass `steps` awaits; return True if it has ended."""
    for _ in range(steps):
        try:
            chain.send(None)
        except StopIteration:
            return True
    return False


def run(coroutine: Any) -> Any:
    """Run the coroutine to its end."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value

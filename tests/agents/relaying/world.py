"""A relay queue, its worker and its reports over ports in memory, with clocks that tests set."""

from collections.abc import Awaitable, Callable
from typing import Any

from agents.ports import RelayWorkPorts
from agents.relaying.outbound import holder
from agents.relaying.relay_reports import RelayReports
from agents.relaying.relay_worker import RelayLimits, RelayWorker
from mail.clock_guard import ClockGuard
from mail.ports.relay_queue import RelayQueue
from mail.sending.relay_setting import RelaySetting
from mail.sending.sender_check import SenderCheck
from schemas.content import Stored
from schemas.directory import Domain
from schemas.events.sending import MailRelay
from schemas.submissions import RecipientResult
from stores.memory import (
    MemoryContentStore,
    MemoryDirectory,
    MemoryHolders,
    MemoryMailTransport,
    MemoryPublisher,
    MemoryRelayQueue,
)
from stores.memory.faults import FaultHook, no_fault, take_step
from tests.agents.sending.world import AT_MS, MAIL, user
from tests.contracts.relay_queue import relay

EVERY = range(12)


class RelayWorld:
    """Stores and a peer that outlive processes; `process` starts another process."""

    def __init__(self, queue: Any = None) -> None:
        self.now_ms = AT_MS
        self.queue = queue or MemoryRelayQueue()
        self.contents = MemoryContentStore()
        self.holders = MemoryHolders()
        self.directory = MemoryDirectory()
        self.transport = MemoryMailTransport()
        self.publisher = MemoryPublisher()

    async def prepare(self) -> "RelayWorld":
        domain = Domain(domain_id="d1", name="postriver.test", created_at_ms=1)
        await self.directory.add_domain(domain, user("ann"))
        return self

    async def put(self, *mails: MailRelay) -> None:
        for mail in mails:
            await self.contents.put(mail.mail_id, MAIL)
            await self.holders.hold([holder(mail)])
            await self.queue.put(mail, partition=3, at_ms=self.now_ms)

    def process(self, limits: RelayLimits | None = None) -> "RelayProcess":
        return RelayProcess(self, limits or RelayLimits())

    def set_fault(self, fault: FaultHook) -> None:
        for adapter in (
            self.queue, self.contents, self.holders, self.directory, self.transport, self.publisher
        ):  # fmt: skip
            adapter.fault = fault

    def results(self) -> list[RecipientResult]:
        """What was reported to submissions, each command once."""
        commands: dict[str, Any] = {}
        for event in self.publisher.events:
            assert commands.setdefault(event.command_id, event) == event
        return [each for command in commands.values() for each in command.outcomes]

    def received(self) -> list[str]:
        return [address for mail in self.transport.received for address in mail.recipients]


class SteppedQueue:
    """A relay queue with a step for `fault` before and after each call."""

    def __init__(self, queue: RelayQueue) -> None:
        self.queue = queue
        self.fault: FaultHook = no_fault

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **fields: Any) -> Any:
            await take_step(self.fault, name)
            result = await getattr(self.queue, name)(*args, **fields)
            await take_step(self.fault, f"{name} done")
            return result

        return call


class RelayProcess:
    """A process of the role relay."""

    def __init__(self, world: RelayWorld, limits: RelayLimits) -> None:
        clock = ClockGuard(lambda: world.now_ms, lambda: world.now_ms)
        self.ports = RelayWorkPorts(
            queue=world.queue,
            contents=world.contents,
            holders=world.holders,
            senders=SenderCheck(world.directory),
            transport=world.transport,
            publisher=world.publisher,
            setting=RelaySetting(mode="mx"),
        )
        self.worker = RelayWorker(self.ports, lambda: EVERY, limits=limits, clock=clock)
        self.reports = RelayReports(self.ports, lambda: EVERY, clock=clock)

    async def settle(self) -> None:
        """Send and report until nothing is due."""
        while True:
            await self.worker.turn()
            is_idle = not self.worker.at_work
            await self.worker.finish()
            await self.reports.report()
            await self.reports.release()
            if is_idle:
                return


def mail(name: str, *local: str, destination: str = "example.net", **fields: Any) -> MailRelay:
    times = {"received_at_ms": AT_MS, "queued_at_ms": AT_MS}
    fields.setdefault("content", Stored(name, len(MAIL), "0" * 64))
    return relay(name, *local, destination=destination, **(times | fields))

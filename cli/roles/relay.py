"""Role relay: the relay queue, and delivery to other servers unless POSTRIVER_RELAY=off."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from agents.ports import RelayPorts, RelayWorkPorts
from agents.relay import relay
from agents.relaying.relay_reports import RelayReports
from agents.relaying.relay_worker import RelayWorker
from cli.config.config import Config
from cli.roles.metrics import COUNTER, GAUGE, Metric, collect
from cli.roles.workers import Shown, work
from cli.wiring.profile import adapters
from cli.wiring.sending import mail_transport
from mail.clock import now_ms
from mail.lifecycle import repeating, running
from mail.ports import Publisher
from mail.ports.relay_queue import RelayQueueAdmin
from mail.sending.sender_check import SenderCheck
from schemas.relay import HELD, WAITING, OldestRows, RelayState
from schemas.submissions import DEFERRED, FAILED, RELAYED
from streams.topology import RELAY
from streams.worker.stage_handler import StageHandler, bind
from streams.worker.status import RoleStatus

REPORT_INTERVAL_S = 0.05  # after a turn, which waits until there is something to report
COUNT_INTERVAL_S = 30.0  # reads an index of all rows that are not done


@dataclass(slots=True)
class RelayLoad:
    """What the role shows of the queue; `rows` and `oldest` are COUNT_INTERVAL_S old at most."""

    queue: RelayQueueAdmin
    mode: str
    rows: dict[RelayState, int] = field(default_factory=dict)
    oldest: OldestRows = field(default_factory=OldestRows)
    worker: RelayWorker | None = None  # None: nothing is sent

    async def count(self) -> None:
        self.rows, self.oldest = await self.queue.counts(), await self.queue.oldest()

    @property
    def at_work(self) -> int:
        return self.worker.at_work if self.worker else 0

    @property
    def results(self) -> Counter[str]:
        return self.worker.results if self.worker else Counter()

    def warnings(self) -> list[str]:
        waiting = self.rows.get(WAITING, 0)
        if self.mode != "off" or not waiting:
            return []
        return ["mail for other domains waits in the queue: POSTRIVER_RELAY=off"]

    def detail(self) -> dict[str, Any]:
        return {"relay": self.mode, "queue": dict(self.rows), "at_work": self.at_work}


def _age_s(at_ms: int | None) -> float:
    """Seconds since then; 0 for the future, and if there is nothing."""
    return 0.0 if at_ms is None else max(0, now_ms() - at_ms) / 1000


METRICS: tuple[Metric[RelayLoad], ...] = (
    Metric("postriver_relay_recipients", GAUGE, "Recipients in the relay queue.",
           lambda load: {(state,): load.rows.get(state, 0) for state in (WAITING, HELD)},
           ("state",)),
    Metric("postriver_relay_oldest_seconds", GAUGE, "Since when the oldest mail waits.",
           lambda load: _age_s(load.oldest.queued_at_ms)),
    Metric("postriver_relay_overdue_seconds", GAUGE, "Since when an attempt is due and not begun.",
           lambda load: _age_s(load.oldest.due_at_ms)),
    Metric("postriver_relay_results", COUNTER, "Results of attempts, by recipient.",
           lambda load: {(each,): load.results[each] for each in (RELAYED, DEFERRED, FAILED)},
           ("status",)),
    Metric("postriver_relay_at_work", GAUGE, "Mails that are being sent.",
           lambda load: load.at_work),
)  # fmt: skip


def relay_handlers(ports: RelayPorts) -> dict[str, StageHandler]:
    return {"relay": bind(relay, ports)}


async def run(config: Config, stop: asyncio.Event) -> None:
    async with adapters(config) as opened:
        queue = await opened.relay_queue()
        ports = RelayPorts(queue=queue)
        contents, holders = await opened.contents(), await opened.holders()
        senders = SenderCheck(await opened.directory())
        setting = config.relay_setting
        load = RelayLoad(queue, setting.mode)

        def at_work(publisher: Publisher, status: RoleStatus) -> AbstractAsyncContextManager[None]:
            sending = RelayWorkPorts(
                queue=queue,
                wake=ports.wake,
                contents=contents,
                holders=holders,
                senders=senders,
                transport=mail_transport(config),
                publisher=publisher,
                setting=setting,
            )
            return _relaying(sending, status, load)

        shown = Shown(
            warnings=load.warnings, detail=load.detail, metrics=lambda: collect(METRICS, load)
        )
        await work(
            "relay", config, stop, opened, lambda _: relay_handlers(ports), shown=shown, job=at_work
        )


@asynccontextmanager
async def _relaying(
    ports: RelayWorkPorts, status: RoleStatus, load: RelayLoad
) -> AsyncIterator[None]:
    """Report results during the block, and send, unless the setting is `off`."""

    def partitions() -> frozenset[int]:
        return status.partitions_of(RELAY)

    reports = RelayReports(ports, partitions)
    async with (
        repeating("relay reports", reports.turn, REPORT_INTERVAL_S),
        repeating("relay load", load.count, COUNT_INTERVAL_S),
    ):
        if ports.setting.is_off:
            yield
            return
        load.worker = RelayWorker(ports, partitions)
        async with running(load.worker):
            yield

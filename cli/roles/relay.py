"""Role relay: the relay queue, and delivery to other servers unless POSTRIVER_RELAY=off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from agents.ports import RelayPorts, RelayWorkPorts
from agents.relay import relay
from agents.relaying.relay_reports import RelayReports
from agents.relaying.relay_worker import RelayWorker
from cli.config.config import Config
from cli.roles.workers import work
from cli.wiring.profile import adapters
from cli.wiring.sending import mail_transport
from mail.lifecycle import repeating, running
from mail.ports import Publisher
from mail.sending.sender_check import SenderCheck
from streams.topology import RELAY
from streams.worker.stage_handler import StageHandler, bind
from streams.worker.status import RoleStatus

REPORT_INTERVAL_S = 0.05  # after a turn, which waits until there is something to report


def relay_handlers(ports: RelayPorts) -> dict[str, StageHandler]:
    return {"relay": bind(relay, ports)}


async def run(config: Config, stop: asyncio.Event) -> None:
    async with adapters(config) as opened:
        ports = RelayPorts(queue=await opened.relay_queue())
        contents, holders = await opened.contents(), await opened.holders()
        senders = SenderCheck(await opened.directory())
        setting = config.relay_setting

        def at_work(publisher: Publisher, status: RoleStatus) -> AbstractAsyncContextManager[None]:
            sending = RelayWorkPorts(
                queue=ports.queue,
                wake=ports.wake,
                contents=contents,
                holders=holders,
                senders=senders,
                transport=mail_transport(config),
                publisher=publisher,
                setting=setting,
            )
            return _relaying(sending, status)

        await work("relay", config, stop, opened, lambda _: relay_handlers(ports), job=at_work)


@asynccontextmanager
async def _relaying(ports: RelayWorkPorts, status: RoleStatus) -> AsyncIterator[None]:
    """Report results during the block, and send, unless the setting is `off`."""

    def partitions() -> frozenset[int]:
        return status.partitions_of(RELAY)

    reports = RelayReports(ports, partitions)
    async with repeating("relay reports", reports.turn, REPORT_INTERVAL_S):
        if ports.setting.is_off:
            yield
            return
        async with running(RelayWorker(ports, partitions)):
            yield

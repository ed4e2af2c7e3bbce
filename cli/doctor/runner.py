"""All checks in one round, each bounded in time: a disk that hangs is a finding."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cli.config.config import Config
from cli.doctor import engines, hardware, state_folder, streams
from cli.doctor.finding import Finding, problem
from cli.roles.host_metrics import HostMetrics
from cli.wiring.certificates import pair_of
from edge.tls_certificate import BadCertificate, context
from stack.state_folder import StateFolder, StateFolderError, existing, lock_holder
from stack.supervision.client import NotRunning, read_status

CHECK_LIMIT_S = 15.0

Check = Callable[[], Sequence[Finding]]
AsyncCheck = Callable[[], Awaitable[Sequence[Finding]]]


async def bounded(name: str, check: Check) -> list[Finding]:
    """Run `check` in a thread of its own, which nobody waits for when its time is over."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Sequence[Finding]] = loop.create_future()

    def tell(found: Sequence[Finding]) -> None:
        if not told.done():
            told.set_result(found)

    def run() -> None:
        try:
            found = check()
        except Exception as error:  # noqa: BLE001  (a check that breaks has found something)
            found = [_broken(name, error)]
        with suppress(RuntimeError):  # the loop is closed: we were too late
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=run, daemon=True, name=name).start()
    return await bounded_async(name, lambda: told)


async def bounded_async(name: str, check: AsyncCheck) -> list[Finding]:
    try:
        async with asyncio.timeout(CHECK_LIMIT_S):
            return list(await check())
    except Exception as error:  # noqa: BLE001  (likewise)
        return [_broken(name, error)]


def _broken(name: str, error: Exception) -> Finding:
    if isinstance(error, TimeoutError):
        return problem(name, f"no answer within {CHECK_LIMIT_S:.0f} s", "see what hangs: dmesg")
    return problem(name, f"could not be looked at: {error!r}", "postriver status; see the logs")


async def round_of(config: Config) -> list[Finding]:
    """Everything about this machine and the stack on it, running or not; as the folder's owner."""
    at_all = await asyncio.gather(
        bounded("machine", hardware.look_around),
        bounded("installed", lambda: engines.versions(config)),
        bounded("disk", lambda: _disk(config.home)),
        bounded("state", lambda: state_folder.state(config.home)),
    )
    found = [finding for findings in at_all for finding in findings]
    with suppress(StateFolderError):
        home = existing(config.home)
        found += await bounded("machine", lambda: _kept(config, home))
        if lock_holder(home.path) is not None:
            return found + await _up(config, home)
    return found


def _disk(path: Path) -> list[Finding]:
    """Of the folder, or of where it would be made."""
    there = next(each for each in (path, *path.parents) if each.is_dir())
    disk = hardware.read_disk(there)
    found = [*hardware.space(disk, there), *hardware.inodes(disk, there), *hardware.log_room(disk)]
    if there == path:
        found += hardware.syncing(hardware.read_sync_s(path))
    newest_s, synchronised = hardware.read_newest_s(there), hardware.read_synchronised()
    return [*found, *hardware.clock(newest_s, time.time(), synchronised=synchronised)]


def _kept(config: Config, home: StateFolder) -> list[Finding]:
    """What is kept in the folder and grows old."""
    machine, update = HostMetrics(config, home), config.signatures == "update"
    return [
        *engines.virus_signatures(machine.signatures(), update=update),
        *_certificate(config, machine),
        *state_folder.backup(machine.backup_age_s()),
    ]


def _certificate(config: Config, machine: HostMetrics) -> list[Finding]:
    """Our own is made at the first start; until then there is none, and nothing wrong with that."""
    ends_s = machine.certificate_ends_s()
    if config.tls_cert is None and ends_s is None:
        return state_folder.certificate(None)
    try:
        context(pair_of(config))
    except BadCertificate as error:
        do = "POSTRIVER_TLS_CERT and POSTRIVER_TLS_KEY: a pair in PEM that its owner can read"
        return [problem("certificate", str(error), do)]
    return state_folder.certificate(ends_s)


async def _up(config: Config, home: StateFolder) -> list[Finding]:
    """Of a stack that a supervisor holds."""
    rounds = await asyncio.gather(
        bounded("processes", lambda: _told(home)),
        bounded("configuration", lambda: engines.configurations(config, home)),
        bounded_async("answers", lambda: engines.answering(config, home)),
        bounded_async("topics", lambda: streams.topics(config)),
        bounded_async("lag", lambda: streams.lag(config)),
        bounded_async("dead letters", lambda: streams.dead_letters(config)),
    )
    return [finding for findings in rounds for finding in findings]


def _told(home: StateFolder) -> list[Finding]:
    try:
        status = read_status(home.path)
    except NotRunning:
        log = home.log / "supervisor.log"
        return [problem("processes", "the supervisor does not answer", f"tail {log}")]
    return [*streams.processes(status, home), *streams.held(status)]

"""Run all checks, each with a time limit: a disk that hangs is a finding."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cli.config.config import Config
from cli.doctor import engines, external, hardware, state_folder, streams
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
    """Run `check` in a thread of its own; after CHECK_LIMIT_S the thread is abandoned."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Sequence[Finding]] = loop.create_future()

    def set_result(findings: Sequence[Finding]) -> None:
        if not result.done():
            result.set_result(findings)

    def run() -> None:
        try:
            findings = check()
        except Exception as error:  # noqa: BLE001  (a check that fails is a finding)
            findings = [_failed(name, error)]
        with suppress(RuntimeError):  # the loop is closed: the result is too late
            loop.call_soon_threadsafe(set_result, findings)

    threading.Thread(target=run, daemon=True, name=name).start()
    return await bounded_async(name, lambda: result)


async def bounded_async(name: str, check: AsyncCheck) -> list[Finding]:
    """Run `check` for at most CHECK_LIMIT_S; a failure is a finding."""
    try:
        async with asyncio.timeout(CHECK_LIMIT_S):
            return list(await check())
    except Exception as error:  # noqa: BLE001  (likewise)
        return [_failed(name, error)]


def _failed(name: str, error: Exception) -> Finding:
    if isinstance(error, TimeoutError):
        return problem(name, f"no answer within {CHECK_LIMIT_S:.0f} s", "see what hangs: dmesg")
    return problem(name, f"the check failed: {error!r}", "postriver status; see the logs")


async def run_checks(config: Config) -> list[Finding]:
    """Check this machine and the stack on it, running or not, as the owner of the folder."""
    always = await asyncio.gather(
        bounded("machine", hardware.machine),
        bounded("installed", lambda: engines.versions(config)),
        bounded("disk", lambda: _disk(config.home)),
        bounded("state", lambda: state_folder.state(config.home)),
    )
    findings = [finding for part in always for finding in part]
    with suppress(StateFolderError):
        home = existing(config.home)
        findings += await bounded("machine", lambda: _aging(config, home))
        if lock_holder(home.path) is not None:
            return findings + await _running_stack(config, home)
    return findings + await bounded_async("answers", lambda: external.answering(config))


def _disk(path: Path) -> list[Finding]:
    """Check the disk of the state folder, or of its nearest existing parent, and the clock."""
    folder = next(parent for parent in (path, *path.parents) if parent.is_dir())
    disk = hardware.read_disk(folder)
    findings = [
        *hardware.space(disk, folder),
        *hardware.inodes(disk, folder),
        *hardware.log_room(disk),
    ]
    if folder == path:
        findings += hardware.syncing(hardware.read_sync_s(path))
    newest_s, synchronised = hardware.read_newest_s(folder), hardware.read_synchronised()
    return [*findings, *hardware.clock(newest_s, time.time(), synchronised=synchronised)]


def _aging(config: Config, home: StateFolder) -> list[Finding]:
    """Check the parts of the folder that get old: signatures, certificate, backup."""
    machine, update = HostMetrics(config, home), config.signatures == "update"
    return [
        *([] if config.clamd else engines.virus_signatures(machine.signatures(), update=update)),
        *_certificate(config, machine),
        *state_folder.backup(machine.backup_age_s()),
    ]


def _certificate(config: Config, machine: HostMetrics) -> list[Finding]:
    """Check the certificate. Before the first start there is no self-signed pair: a note only."""
    ends_s = machine.certificate_ends_s()
    if config.tls_cert is None and ends_s is None:
        return state_folder.certificate(None)
    try:
        context(pair_of(config))
    except BadCertificate as error:
        do = "POSTRIVER_TLS_CERT and POSTRIVER_TLS_KEY: a pair in PEM that its owner can read"
        return [problem("certificate", str(error), do)]
    return state_folder.certificate(ends_s)


async def _running_stack(config: Config, home: StateFolder) -> list[Finding]:
    """Checks that need a running stack."""
    results = await asyncio.gather(
        bounded("processes", lambda: _processes(home)),
        bounded("configuration", lambda: engines.configurations(config, home)),
        bounded_async("answers", lambda: engines.answering(config, home)),
        bounded_async("signatures", lambda: external.virus_signatures(config)),
        bounded_async("topics", lambda: streams.topics(config)),
        bounded_async("lag", lambda: streams.lag(config)),
        bounded_async("dead letters", lambda: streams.dead_letters(config)),
    )
    return [finding for findings in results for finding in findings]


def _processes(home: StateFolder) -> list[Finding]:
    try:
        status = read_status(home.path)
    except NotRunning:
        log = home.log / "supervisor.log"
        return [problem("processes", "the supervisor does not answer", f"tail {log}")]
    return [*streams.processes(status, home), *streams.held(status)]

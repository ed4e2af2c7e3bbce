"""Supervisor: start, watch, restart and stop the programs of one machine.

A program starts after every program in its `after` has been ready once; other programs start at the
same time. Programs stop in the opposite order, engines last. SIGTERM and SIGINT stop gracefully; a
second signal kills at once.
"""

import asyncio
import logging
import resource
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from prometheus_client.metrics_core import Metric

from stack.state_folder import StateFolder
from stack.supervision.client import write_running
from stack.supervision.ops_server import serve_ops
from stack.supervision.orphan_processes import ProcessRecords, adopt_orphans, end
from stack.supervision.program import Program, ProgramKind, check_programs
from stack.supervision.supervised_process import SupervisedProcess, TaskRefused

OPEN_FILES_WANTED = 65_536

log = logging.getLogger("postriver.stack")


class Supervisor:
    """`await run()` inside a claimed `home`; returns the exit code.

    `ops`: address of the operator's HTTP server. `warnings`: sentences in /readyz and
    /status. `facts`: further fields of /status, such as `signatures`; `measures`: further metrics,
    collected in a thread. `on_ready`: awaited at the first ready.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        home: StateFolder,
        *,
        ops: tuple[str, int],
        warnings: Callable[[], Sequence[str]] = tuple,
        facts: Callable[[], Mapping[str, object]] = dict,
        measures: Callable[[], Iterable[Metric]] = tuple,
        on_ready: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        check_programs(tuple(programs))
        self._home = home
        self._ops = ops
        self._on_ready = on_ready
        self._records = ProcessRecords(home)
        self._stop_asked = 0
        self._wake = asyncio.Event()
        self.warnings = warnings
        self.facts = facts
        self.measures = measures
        self.children = {
            each.name: SupervisedProcess(each, home, self._records) for each in programs
        }
        self._needed = [child for child in self.children.values() if child.program.needed]

    @property
    def state(self) -> str:
        """Return starting, ready, degraded (was ready, a needed program is not) or stopping."""
        if self._stop_asked:
            return "stopping"
        if all(child.ok for child in self._needed):
            return "ready"
        was_ready = all(child.became_ready.is_set() for child in self._needed)
        return "degraded" if was_ready else "starting"

    def reasons(self) -> dict[str, str]:
        """Return the reason for each program that is not ready, needed or not."""
        return {n: c.reason or c.state.value for n, c in self.children.items() if not c.ok}

    def stop(self) -> None:
        """Begin to stop; the second call kills all remaining processes."""
        self._stop_asked += 1
        self._wake.set()
        if self._stop_asked > 1:
            for child in self.children.values():
                child.kill()

    async def run(self) -> int:
        """Run until SIGTERM, SIGINT or `stop()`.

        Raises OSError: the ops port cannot be used. TaskRefused, after everything was stopped.
        """
        _allow_many_files()
        adopt_orphans()
        for record_name in await asyncio.to_thread(end, self._records.read()):
            log.warning("ended %s, left over from a former run", record_name)
        async with serve_ops(self, self._ops) as address:
            write_running(self._home, address)
            self._listen_to_signals()
            await self._supervise()
        return 0

    async def _supervise(self) -> None:
        runs = [asyncio.create_task(self._run_in_order(each)) for each in self.children.values()]
        for each in runs:
            each.add_done_callback(self._ran)
        greet = asyncio.create_task(self._greet())
        try:
            await self._wake.wait()
        finally:
            greet.cancel()
            await asyncio.gather(greet, return_exceptions=True)
            await self._stop_in_order()
            await asyncio.wait(runs)
            await asyncio.gather(*runs)

    def _ran(self, run: "asyncio.Task[None]") -> None:
        """Stop everything after a failed watch task: an unwatched program must not look ready."""
        error = None if run.cancelled() else run.exception()
        if isinstance(error, TaskRefused):
            log.critical("%s", error)
            self.stop()
        elif error is not None:
            log.critical("the supervisor fails", exc_info=error)
            self.stop()

    async def _run_in_order(self, child: SupervisedProcess) -> None:
        for name in child.program.after:
            ready = asyncio.create_task(self.children[name].became_ready.wait())
            stop = asyncio.create_task(self._wake.wait())
            await asyncio.wait({ready, stop}, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            stop.cancel()
        await child.run()

    async def _greet(self) -> None:
        began = time.monotonic()
        for child in self._needed:
            await child.became_ready.wait()
        log.info("ready after %.1f s", time.monotonic() - began)
        if self._on_ready is not None:
            await self._on_ready()

    async def _stop_in_order(self) -> None:
        self._stop_asked = max(1, self._stop_asked)
        for wave in stop_waves([child.program for child in self.children.values()]):
            at_once = self._stop_asked > 1
            await asyncio.gather(*(self.children[name].stop(at_once=at_once) for name in wave))

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)


def stop_waves(programs: Sequence[Program]) -> list[list[str]]:
    """Return names in the order of stopping: dependants first, engines last."""
    left = {program.name: program for program in programs}
    waves = []
    while left:
        needed = {name for program in left.values() for name in program.after}
        others = any(program.kind is not ProgramKind.ENGINE for program in left.values())
        wave = [
            name
            for name, program in left.items()
            if name not in needed and not (others and program.kind is ProgramKind.ENGINE)
        ]
        waves.append(wave)
        for name in wave:
            del left[name]
    return waves


def _allow_many_files() -> None:
    """Raise the limit of open files above the usual 1,024; children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))

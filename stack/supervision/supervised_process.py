"""Supervised process: start, probes, restart with growing pauses, stop within a time limit."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from stack.log_format import strike_out
from stack.logs import LogFile, last_lines
from stack.state_folder import StateFolder
from stack.supervision.orphan_processes import ProcessRecords, kill_session, start_ticks
from stack.supervision.probes import Probe
from stack.supervision.program import REFUSED, Program, ProgramKind
from stack.supervision.spawn import LogPump, finish, spawn
from stack.supervision.suspend_detection import SuspendDetector

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
HEALTHY_AFTER_S = 60.0  # after this uptime the next failure counts as the first
START_POLL_S = 0.1
NOT_YET_POLL_S = 1.0
CANNOT_START = 127  # exit code, as in shells

log = logging.getLogger("postriver.stack")


class ProcessState(StrEnum):
    WAITING = "waiting"  # for programs in `after`, or for a condition of its start
    STARTING = "starting"
    READY = "ready"
    UNHEALTHY = "unhealthy"
    BACKOFF = "backoff"  # exited; will be started again
    DONE = "done"  # a task that ran to its end
    STOPPED = "stopped"


class TaskRefused(Exception):
    """A task ended with REFUSED; the message is the last line of its log."""


class SupervisedProcess:
    """`run()` keeps the program alive until `stop()`; `became_ready` is set once and stays set."""

    def __init__(
        self,
        program: Program,
        home: StateFolder,
        records: ProcessRecords,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.program = program
        self.state = ProcessState.WAITING
        self.reason = "not started yet"
        self.pid: int | None = None
        self.restarts = 0
        self.became_ready = asyncio.Event()
        self._log_path = home.log / f"{program.name}.log"
        self._records = records
        self._now_s = now_s
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._start_ticks: int | None = None

    @property
    def ok(self) -> bool:
        return self.state in {ProcessState.READY, ProcessState.DONE}

    async def run(self) -> None:
        """Raises TaskRefused."""
        failures = 0
        while not await self._stopped_before_its_time_came():
            began = self._now_s()
            code = await self._try_to_live()
            if self._stopping.is_set():
                break
            if self.program.kind is ProgramKind.TASK and code == 0:
                self._become(ProcessState.DONE)
                return
            if self.program.kind is ProgramKind.TASK and code == REFUSED:
                self._become(ProcessState.STOPPED, "refused")
                raise TaskRefused(self._last_line())
            failures = 1 if self._now_s() - began >= HEALTHY_AFTER_S else failures + 1
            await self._pause(code, backoff_s(failures))
        self._become(ProcessState.STOPPED)

    def _last_line(self) -> str:
        lines = last_lines(self._log_path, 1)
        return lines[0] if lines else f"{self.program.name} refused without a word"

    async def stop(self, *, at_once: bool = False) -> None:
        """Ask the process to end, and kill it after its time limit; its whole session ends."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL if at_once else self.program.stop_signal)
        try:
            async with asyncio.timeout(self.program.stop_timeout_s):
                await process.wait()
        except TimeoutError:
            log.warning(
                "%s did not stop in %.0f s; killed", self.program.name, self.program.stop_timeout_s
            )
            with suppress(ProcessLookupError):
                process.kill()

    def kill(self) -> None:
        """Kill the process in any state; `run` or `stop` notices its end."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def _stopped_before_its_time_came(self) -> bool:
        """Wait while the program must not be started; return whether a stop was requested."""
        while not self._stopping.is_set() and (reason := self.program.not_yet()):
            if self.state is not ProcessState.WAITING:
                log.warning("%s is not started: %s", self.program.name, reason)
            self._become(ProcessState.WAITING, reason)
            await self._sleep(NOT_YET_POLL_S)
        return self._stopping.is_set()

    async def _try_to_live(self) -> int:
        """Run the program once; no disk space or descriptor counts as a failed start."""
        try:
            return await self._live()
        except OSError as cause:
            log.warning("%s cannot be started: %s", self.program.name, cause)
            return CANNOT_START

    async def _live(self) -> int:
        """Run the program from spawn to the end of its session; return its exit code."""
        self._become(ProcessState.STARTING, "starting")
        engine = self.program.kind is ProgramKind.ENGINE
        file = LogFile(self._log_path, edit=strike_out) if engine else LogFile(self._log_path)
        pump = LogPump(file)
        pumping = asyncio.create_task(pump.run())
        try:
            self.program.before_start()
            process = await spawn(self.program, pump.input)
        except OSError as cause:
            file.line(f"cannot start {self.program.argv[0]}: {cause}")
            process = None
        finally:
            pump.close_input()
        code = CANNOT_START if process is None else await self._life(process)
        await finish(pumping)
        return code

    async def _life(self, process: asyncio.subprocess.Process) -> int:
        self._begin(process)
        watch = asyncio.create_task(self._watch())
        try:
            code = await process.wait()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        if self._start_ticks is not None:
            await asyncio.to_thread(kill_session, process.pid, self._start_ticks)
        self.pid = None
        self._records.remove(self.program.name)
        return code

    def _begin(self, process: asyncio.subprocess.Process) -> None:
        self._process, self.pid = process, process.pid
        self._start_ticks = start_ticks(process.pid)
        self._records.add(self.program.name, process.pid)
        if self._stopping.is_set():  # a stop was requested during the start
            self.kill()

    async def _watch(self) -> None:
        """Check readiness, then health, until cancelled; kill a program that fails."""
        if self.program.kind is ProgramKind.TASK:
            return
        if not await self._wait_ready():
            return
        await self._watch_health()
        self.kill()

    async def _watch_health(self) -> None:
        """Return after too many consecutive failed checks."""
        failed = 0
        sleep = SuspendDetector(self._now_s)
        while failed < self.program.unhealthy_after:
            await asyncio.sleep(self.program.health_every_s)
            reason = await self._ask(self.program.liveness())
            failed = failed + 1 if reason else 0
            reason = reason or await self._ask(self.program.readiness())
            self._become(ProcessState.UNHEALTHY if reason else ProcessState.READY, reason or "")
            if sleep.missed_s(self.program.health_every_s) or sleep.waking:
                failed = 0
        log.warning(
            "%s failed %d health checks (%s); killed", self.program.name, failed, self.reason
        )

    async def _wait_ready(self) -> bool:
        """Wait for readiness; False: not ready in time and not healthy, so it is killed.

        A healthy program that is not ready waits for a condition that a restart does not change.
        """
        deadline = self._now_s() + self.program.start_timeout_s
        sleep = SuspendDetector(self._now_s)
        while reason := await self._ask(self.program.readiness()):
            self._become(ProcessState.STARTING, reason)
            deadline += sleep.missed_s(START_POLL_S)
            if self._now_s() > deadline and await self._ask(self.program.liveness()):
                log.warning("%s not ready in time (%s); killed", self.program.name, reason)
                self.kill()
                return False
            await asyncio.sleep(START_POLL_S)
        self._become(ProcessState.READY)
        return True

    async def _ask(self, probe: Probe | None) -> str | None:
        return None if probe is None else await probe()

    async def _pause(self, code: int, delay_s: float) -> None:
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self.restarts += 1
        self._become(ProcessState.BACKOFF, f"ended by {how}; again in {delay_s:.1f} s")
        log.warning("%s %s", self.program.name, self.reason)
        await self._sleep(delay_s)

    async def _sleep(self, delay_s: float) -> None:
        """Sleep `delay_s`; `stop` ends the sleep."""
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()

    def _become(self, state: ProcessState, reason: str = "") -> None:
        if state is not self.state and state in {ProcessState.READY, ProcessState.DONE}:
            log.info("%s %s", self.program.name, state.value)
        self.state, self.reason = state, reason
        if self.ok:
            self.became_ready.set()


def backoff_s(failures: int) -> float:
    """Return the pause before restart number `failures` (from 1): 0.5 s, doubling to 30 s."""
    return float(min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(failures - 1, 10)))

"""Starts one process in a session of its own, bound to our life, its output going to a log file."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from stack.logs import LogFile
from stack.program import Program

PIPE_READ_BYTES = 64 * 1024
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


async def spawn(program: Program, output: int) -> asyncio.subprocess.Process:
    """Start `program` with stdout and stderr to the descriptor `output`. OSError when it cannot.

    The pipe is not asyncio's: its `wait()` would wait for the pipe too, which a worker that
    outlives the process holds open.
    """
    return await asyncio.create_subprocess_exec(
        *program.argv,
        env=dict(program.env),
        cwd=program.cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        pass_fds=program.descriptors,
        preexec_fn=_die_with(os.getpid()),
    )


class Pump:
    """Moves what comes through a pipe into a log file until every writer is gone."""

    def __init__(self, file: LogFile) -> None:
        self._file = file
        self._reader = asyncio.StreamReader()
        self._source, self.input = os.pipe()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), os.fdopen(self._source, "rb", 0)
        )
        try:
            while chunk := await self._reader.read(PIPE_READ_BYTES):
                self._file.feed(chunk)
        finally:
            transport.close()
            self._file.end_line()

    def close_input(self) -> None:
        """Our own end: the program has its copy, or was never started."""
        os.close(self.input)


async def finish(pump: asyncio.Task[None], *, timeout_s: float = 2.0) -> None:
    """The rest of the output; one who left the session and holds the pipe is not waited for."""
    with suppress(TimeoutError):
        await asyncio.wait_for(pump, timeout_s)


def _die_with(parent_pid: int) -> Callable[[], None]:
    """For the child between fork and exec: SIGKILL when the supervisor is gone, however it went.

    The signal is bound to the thread that forked; the supervisor forks in its main thread only.
    """

    def ask_kernel() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it died before we could ask
            os._exit(1)

    return ask_kernel

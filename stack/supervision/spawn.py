"""Starts one process in a session of its own, bound to our life, its output going to a log file.

The process gains no privileges by what it executes (PR_SET_NO_NEW_PRIVS) and has an upper bound on
its address space where its program names one.
"""

import asyncio
import ctypes
import os
import resource
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from stack.logs import LogFile
from stack.supervision.program import Program

PIPE_READ_BYTES = 64 * 1024
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38

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
        preexec_fn=_confine(program, os.getpid()),
    )


class LogPump:
    """Moves what comes through a pipe into a log file until every writer is gone.

    Lines are edited and written by a thread of this pump, so that neither a disk that hangs nor a
    flood of lines delays the loop that watches the processes.
    """

    def __init__(self, file: LogFile) -> None:
        self._file = file
        self._reader = asyncio.StreamReader()
        self._source, self.input = os.pipe()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), os.fdopen(self._source, "rb", 0)
        )
        writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log")
        try:
            while chunk := await self._reader.read(PIPE_READ_BYTES):
                await loop.run_in_executor(writer, self._file.feed, chunk)
            await loop.run_in_executor(writer, self._file.close)
        except BaseException:
            writer.submit(self._file.close)  # once it has written what it has
            raise
        finally:
            transport.close()
            writer.shutdown(wait=False)

    def close_input(self) -> None:
        """Our own end: the program has its copy, or was never started."""
        os.close(self.input)


async def finish(pump: asyncio.Task[None], *, timeout_s: float = 2.0) -> None:
    """The rest of the output; one who left the session and holds the pipe is not waited for."""
    with suppress(TimeoutError):
        await asyncio.wait_for(pump, timeout_s)


def _confine(program: Program, parent_pid: int) -> Callable[[], None]:
    """For the child between fork and exec: its limits, and SIGKILL when the supervisor is gone.

    The signal is bound to the thread that forked; the supervisor forks in its main thread only.
    """

    def ask_kernel() -> None:
        _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if program.memory_max_bytes is not None:
            _lower(resource.RLIMIT_AS, program.memory_max_bytes)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it died before we could ask
            os._exit(1)

    return ask_kernel


def _lower(limit: int, wanted: int) -> None:
    """A lower limit that we already have stays."""
    _, hard = resource.getrlimit(limit)
    wanted = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(limit, (wanted, wanted))

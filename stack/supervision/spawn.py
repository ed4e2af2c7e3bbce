"""Start of one process: a session of its own, killed with the supervisor, output to a log file.

The process cannot gain privileges by exec (PR_SET_NO_NEW_PRIVS), and its address space is limited
if its program names a limit.
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
    """Start `program` with stdout and stderr to the descriptor `output`. Raises OSError.

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
    """Copy a pipe into a log file until every writer has closed it.

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
            writer.submit(self._file.close)  # after the lines written so far
            raise
        finally:
            transport.close()
            writer.shutdown(wait=False)

    def close_input(self) -> None:
        """Close the supervisor's end: the program has its copy, or was never started."""
        os.close(self.input)


async def finish(pump: asyncio.Task[None], *, timeout_s: float = 2.0) -> None:
    """Wait for the rest of the output, at most `timeout_s`: a process may keep the pipe open."""
    with suppress(TimeoutError):
        await asyncio.wait_for(pump, timeout_s)


def _confine(program: Program, parent_pid: int) -> Callable[[], None]:
    """Return the child's set-up between fork and exec: limits, SIGKILL at the supervisor's end.

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


def _lower(limit: int, target: int) -> None:
    """Lower a limit; a limit that is lower already stays."""
    _, hard = resource.getrlimit(limit)
    target = target if hard == resource.RLIM_INFINITY else min(hard, target)
    resource.setrlimit(limit, (target, target))

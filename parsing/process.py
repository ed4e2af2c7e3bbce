"""One parser child of this process: start, parse, end. Used by one thread at a time."""

import os
import signal
import socket
import subprocess
import sys
import time
from typing import Self

import msgspec

from mail.errors import ParserUnavailable
from mail.mime.parse_requests import ParseRequest
from parsing.frames import ConnectionEnded, MessageTooLong, receive, send
from parsing.limits import ParserLimits

PROGRAM = "parsing.child"
_START = (
    "import sys; sys.path[:] = sys.argv[4:]; import importlib, msgspec;"
    "from parsing.limits import ParserLimits as limits;"
    "main = importlib.import_module(sys.argv[1]).main;"
    "main(int(sys.argv[2]), msgspec.json.decode(sys.argv[3], type=limits))"
)
_encode = msgspec.msgpack.Encoder().encode
_LIMIT_SIGNALS = frozenset({signal.SIGXCPU, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS})


class ParseLimitExceeded(Exception):
    """The mail exceeded a limit or crashed the parser; the child has ended."""


class ParserExited(Exception):
    """The child ended, and the mail may not be the cause. `was_killed`: it did not exit itself."""

    def __init__(self, code: int) -> None:
        super().__init__(f"ended with {code}")
        self.was_killed = code != 0


class ParserProcess:
    """A running child; created by `start`."""

    def __init__(self, process: "subprocess.Popen[bytes]", connection: socket.socket) -> None:
        self._process = process
        self._connection = connection

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @classmethod
    def start(cls, limits: ParserLimits, program: str = PROGRAM) -> Self:
        """Start a child and return it when it is ready. `program`: a module with `main`.

        The kernel ends the child with the calling thread, which must live as long as the child is
        needed. Raises ParserUnavailable: the child did not start.
        """
        ours, theirs = socket.socketpair()
        argv = [sys.executable, "-c", _START, program, str(os.getpid())]
        argv += [msgspec.json.encode(limits).decode(), *sys.path]
        try:
            process = subprocess.Popen(  # noqa: S603  (our own program)
                argv, stdin=theirs.fileno(), stdout=subprocess.DEVNULL
            )
        except OSError as error:
            ours.close()
            raise ParserUnavailable(str(error)) from error
        finally:
            theirs.close()
        started = cls(process, ours)
        ours.settimeout(limits.start_s)
        try:
            ready = ours.recv(1)
        except OSError:
            ready = b""
        if not ready:
            raise ParserUnavailable(f"a parser child ended with {started.end()} at its start")
        return started

    def parse(
        self, request: ParseRequest, content: bytes, limits: ParserLimits
    ) -> tuple[bytes, bytes]:
        """Return the response as MessagePack, and its octets.

        Raises ParseLimitExceeded or ParserExited: the child has ended.
        """
        until_s = time.monotonic() + limits.elapsed_s
        self._connection.settimeout(limits.elapsed_s)
        try:
            send(self._connection, _encode(request), content)
            return receive(
                self._connection,
                head_max=limits.response_max_bytes,
                tail_max=len(content) + limits.response_max_bytes,
                until_s=until_s,
            )
        except (TimeoutError, MessageTooLong) as error:
            self.end()
            raise ParseLimitExceeded(str(error) or "the response is too long") from error
        except ConnectionEnded:
            code = self._wait(2.0)
        if -code in _LIMIT_SIGNALS or code > 0:
            raise ParseLimitExceeded(_exit_name(code))
        raise ParserExited(code)

    def end(self) -> int:
        """Kill the child if it still runs. Returns its exit code, negative for a signal."""
        self._process.kill()
        return self._wait(None)

    def kill(self) -> None:
        """Kill the child while another thread waits for it; that thread gets ParserExited."""
        self._process.kill()

    def _wait(self, limit_s: float | None) -> int:
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._connection.close()
        return code


def _exit_name(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"

"""Program of a parser child: reads requests from descriptor 0 and writes the responses to it.

The child has no other descriptor of its parent. It exits with 0 when it is idle, has grown too
large, or descriptor 0 is closed: no mail is at fault. A mail that exceeds the limits ends the child
by a signal: SIGXCPU for CPU time, SIGABRT for memory.
"""

import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from mail.mime.parse_requests import ParseRequest, ParseResponse, run_request
from parsing.frames import ConnectionEnded, receive, send
from parsing.limits import ParserLimits

ParseFunction = Callable[[ParseRequest, bytes], tuple[ParseResponse, bytes]]
READY = b"r"
PR_SET_PDEATHSIG = 1
MAIL_MAX_BYTES = 1024 * 1024 * 1024
REQUEST_MAX_BYTES = 64 * 1024


def main(parent_pid: int, limits: ParserLimits, *, run: ParseFunction = run_request) -> None:
    """Serve until the parent closes the socket or sends no request for `limits.idle_s` seconds."""
    _isolate(parent_pid)
    connection = socket.socket(fileno=0)
    connection.sendall(READY)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # from here on, standard error could only show the text of mails
    os.close(null)
    encode = msgspec.msgpack.Encoder().encode
    decode_request = msgspec.msgpack.Decoder(ParseRequest).decode
    with suppress(ConnectionEnded, TimeoutError):
        while True:
            connection.settimeout(limits.idle_s)
            # The memory limit of the last mail must not apply while a larger mail is received.
            _set_soft_limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)
            head, content = receive(connection, head_max=REQUEST_MAX_BYTES, tail_max=MAIL_MAX_BYTES)
            connection.settimeout(None)
            _set_limits(limits, len(content))
            response, octets = run(decode_request(head), content)
            send(connection, encode(response), octets)
            del content, response, octets
            if _has_grown(limits):
                break


def _isolate(parent_pid: int) -> None:
    """End with the parent, write no core file, and be killed first when memory is short."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # the parent ended before the prctl call
        sys.exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C in a terminal is for the parent
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def _set_limits(limits: ParserLimits, size_bytes: int) -> None:
    """Set the soft limits for one mail; hard limits are not changed."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = int(used.ru_utime + used.ru_stime) + limits.cpu_s
    _set_soft_limit(resource.RLIMIT_CPU, cpu_s)
    _set_soft_limit(resource.RLIMIT_AS, limits.memory_of(size_bytes))


def _set_soft_limit(kind: int, soft: int) -> None:
    _, hard = resource.getrlimit(kind)
    lower = hard if soft < 0 else soft if hard < 0 else min(soft, hard)  # below 0: no limit
    resource.setrlimit(kind, (lower, hard))


def _has_grown(limits: ParserLimits) -> bool:
    """Whether the child holds more memory than `retire_bytes`.

    getrusage is no alternative: it includes the peak of the parent.
    """
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() > limits.retire_bytes

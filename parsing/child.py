"""The parser child: reads mails from descriptor 0, answers there, ends when it is closed.

It has no other descriptor of its parent. Exit 0: idle, retired or closed, and no mail is to blame.
A mail that needs more than its limits ends it by a signal: SIGXCPU, or SIGABRT without memory.
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
from parsing.frames import Ended, receive, send
from parsing.limits import ParserLimits

ParseFunction = Callable[[ParseRequest, bytes], tuple[ParseResponse, bytes]]
READY = b"r"
PR_SET_PDEATHSIG = 1
MAIL_MAX_BYTES = 1024 * 1024 * 1024
ASKED_MAX_BYTES = 64 * 1024


def main(parent_pid: int, limits: ParserLimits, *, work: ParseFunction = run_request) -> None:
    """Serve until the parent closes the socket, or nothing comes for `limits.idle_s`."""
    _guard(parent_pid)
    connection = socket.socket(fileno=0)
    connection.sendall(READY)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)  # from here on only a mail's own words could be written there
    os.close(null)
    encode = msgspec.msgpack.Encoder().encode
    asked_of = msgspec.msgpack.Decoder(ParseRequest).decode
    with suppress(Ended, TimeoutError):
        while True:
            connection.settimeout(limits.idle_s)
            _set_soft(resource.RLIMIT_AS, resource.RLIM_INFINITY)  # the next mail may be larger
            head, content = receive(connection, head_max=ASKED_MAX_BYTES, tail_max=MAIL_MAX_BYTES)
            connection.settimeout(None)
            _limit(limits, len(content))
            answer, octets = work(asked_of(head), content)
            send(connection, encode(answer), octets)
            del content, answer, octets
            if _has_grown(limits):
                break


def _guard(parent_pid: int) -> None:
    """End with the parent, leave no core file, be the first to go when memory is short."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before the kernel was asked
        sys.exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C is for the parent
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def _limit(limits: ParserLimits, size_bytes: int) -> None:
    """Set the soft limits for one mail; hard ones stay as they were found."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = int(used.ru_utime + used.ru_stime) + limits.cpu_s
    _set_soft(resource.RLIMIT_CPU, cpu_s)
    _set_soft(resource.RLIMIT_AS, limits.memory_of(size_bytes))


def _set_soft(what: int, soft: int) -> None:
    _, hard = resource.getrlimit(what)
    least = hard if soft < 0 else soft if hard < 0 else min(soft, hard)  # below 0: no limit
    resource.setrlimit(what, (least, hard))


def _has_grown(limits: ParserLimits) -> bool:
    """Whether it holds more memory than it should keep. getrusage would name the parent's peak."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() > limits.retire_bytes

"""Parser child that fails in the way that the subject of a mail orders, unless it parses raw.

The prefix `always-` makes it fail for raw requests too. The child writes its process id to the path
after a colon when it begins to parse.
"""

import os
import signal
import time
from pathlib import Path

from mail.mime.parse_requests import ParseRequest, ParseResponse, run_request
from parsing import child
from parsing.limits import ParserLimits


def run(request: ParseRequest, content: bytes) -> tuple[ParseResponse, bytes]:
    line = content.partition(b"\r\n")[0].decode("latin-1").removeprefix("Subject: ")
    word, _, path = line.partition(":")
    always = word.startswith("always-")
    if not request.raw or always:
        if path:
            Path(path).write_text(str(os.getpid()))
        fail_as_ordered(word.removeprefix("always-"), path)
    return run_request(request, content)


def fail_as_ordered(word: str, path: str) -> None:  # noqa: C901  (a table)
    match word:
        case "abort":
            os.abort()
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "raise":
            raise ValueError("an error without a fallback")
        case "spin":
            while True:
                pass
        case "sleep":
            time.sleep(600)
        case "wait":
            while Path(path).exists():
                time.sleep(0.01)
        case "grow":
            kept = []
            while True:
                kept.append(bytearray(1024 * 1024))


def main(parent_pid: int, limits: ParserLimits) -> None:
    child.main(parent_pid, limits, run=run)

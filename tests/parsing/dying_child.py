"""A parser child that does what a mail's subject says, unless it reads the mail raw.

`always-` before the word: raw too. A path behind a colon is made once the child is at work.
"""

import os
import signal
import time
from pathlib import Path

from mail.mime.parse_requests import ParseRequest, ParseResponse, run_request
from parsing import child
from parsing.limits import ParserLimits


def work(asked: ParseRequest, content: bytes) -> tuple[ParseResponse, bytes]:
    line = content.partition(b"\r\n")[0].decode("latin-1").removeprefix("Subject: ")
    word, _, path = line.partition(":")
    always = word.startswith("always-")
    if not asked.raw or always:
        if path:
            Path(path).write_text(str(os.getpid()))
        suffer(word.removeprefix("always-"), path)
    return run_request(asked, content)


def suffer(word: str, path: str) -> None:  # noqa: C901  (a table)
    match word:
        case "abort":
            os.abort()
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "raise":
            raise ValueError("what no fallback catches")
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
    child.main(parent_pid, limits, work=work)

"""Tells the operators what is wrong: a line in HOME/log/notices.log, and a mail to postmaster.

Once for each cause and day. The log is what a later start knows of it; a mail that was told of but
not sent before a crash is sent again, and recognised by its id when it was sent after all.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mail.clock import DAY_MS, now_ms
from mail.directory.recipient_resolver import recipients
from mail.errors import Refused
from mail.operator_notices import Notice, notice_mail, notices_of
from mail.ports import Publisher, Resolver
from stack.logs import LogFile, last_lines

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0
QUIET_AT_START_S = 60.0  # a start has much to say that passes
_REMEMBERED_LINES = 1_000


class Notifier:
    """`look` is called now and then; `read` gives /status and may block."""

    def __init__(
        self,
        read: Callable[[], dict[str, Any]],
        folder: Path,
        *,
        hostname: str,
        resolver: Resolver,
        publisher: Publisher,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._read = read
        self._path = folder / "notices.log"
        self._hostname = hostname
        self._resolver = resolver
        self._publisher = publisher
        self._now_ms = now_ms
        self._written = _known(self._path)
        self._sent: set[tuple[str, str]] = set()

    async def look(self) -> None:
        """Transient: the broker or the directory is away; the next look repeats what was not sent.

        Raises what `read` raises, after a while in which nobody answers it as well.
        """
        status = await asyncio.to_thread(self._read)
        now_ms = self._now_ms()
        today = _day(now_ms)
        self._written = {known for known in self._written if known[0] == today}
        self._sent = {known for known in self._sent if known[0] == today}
        for notice in notices_of(status, now_ms):
            if (today, notice.cause) not in self._written:
                await asyncio.to_thread(self._write, notice, now_ms)
                self._written.add((today, notice.cause))
            if (today, notice.cause) not in self._sent:
                await self._send(notice, now_ms)
                self._sent.add((today, notice.cause))

    def _write(self, notice: Notice, now_ms: int) -> None:
        at = datetime.fromtimestamp(now_ms // 1000, UTC).isoformat()
        file = LogFile(self._path)
        file.line(f"{at} {notice.cause} {' '.join(notice.text.split())}")
        file.close()

    async def _send(self, notice: Notice, now_ms: int) -> None:
        try:
            owners = await self._resolver.resolve("postmaster")
        except Refused as error:
            log.warning("a notice reaches nobody: %s", error)
            return
        (to, *_) = recipients("postmaster", owners)
        mail = notice_mail(notice, hostname=self._hostname, to=to, now_ms=now_ms)
        await self._publisher.publish(mail)
        log.info("notice %s: mail %s", notice.cause, mail.mail_id)


def _day(now_ms: int) -> str:
    return datetime.fromtimestamp(now_ms // DAY_MS * DAY_MS // 1000, UTC).date().isoformat()


def _known(path: Path) -> set[tuple[str, str]]:
    """Day and cause of what was written lately."""
    lines = last_lines(path, _REMEMBERED_LINES, max_bytes=256 * 1024)
    words = (line.split(" ", 2) for line in lines)
    return {(at[:10], cause) for at, cause, _ in (each for each in words if len(each) == 3)}

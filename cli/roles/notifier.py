"""Notices to operators: a line in HOME/log/notices.log and a mail to postmaster.

Each cause is reported once a day. The log is read at the start, so a restart repeats no line.
A restart sends the day's mails again: the id of a mail is derived from cause and day, and it is
delivered once.
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
QUIET_AT_START_S = 60.0  # warnings of the start that pass by themselves
_REMEMBERED_LINES = 1_000


class Notifier:
    """Sends notices. `read` returns the supervisor's /status and may block."""

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
        self._written = _notices_in(self._path)
        self._sent: set[tuple[str, str]] = set()

    async def look(self) -> None:
        """Write and send the notices of the present status that were not sent today.

        Raises Transient: the broker or the directory does not answer; the next call sends what was
        not sent. Raises what `read` raises.
        """
        status = await asyncio.to_thread(self._read)
        now_ms = self._now_ms()
        today = _day(now_ms)
        self._written = {notice for notice in self._written if notice[0] == today}
        self._sent = {notice for notice in self._sent if notice[0] == today}
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
            log.warning("a notice has no recipient: %s", error)
            return
        (to, *_) = recipients("postmaster", owners)
        mail = notice_mail(notice, hostname=self._hostname, to=to, now_ms=now_ms)
        await self._publisher.publish(mail)
        log.info("notice %s: mail %s", notice.cause, mail.mail_id)


def _day(now_ms: int) -> str:
    return datetime.fromtimestamp(now_ms // DAY_MS * DAY_MS // 1000, UTC).date().isoformat()


def _notices_in(path: Path) -> set[tuple[str, str]]:
    """Day and cause of the last _REMEMBERED_LINES notices."""
    lines = last_lines(path, _REMEMBERED_LINES, max_bytes=256 * 1024)
    words = (line.split(" ", 2) for line in lines)
    return {(row[0][:10], row[1]) for row in words if len(row) == 3}

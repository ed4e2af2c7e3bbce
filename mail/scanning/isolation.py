"""Fault isolation for a scanner: separate a mail that breaks it from an outage for all mail.

A scanner that ends in the middle of a scan fails all scans that it was running. A mail whose scan
failed is therefore scanned again alone: this process gives the scanner no other mail meanwhile, and
a small harmless probe has just been answered. A mail that fails twice in this way is the cause.
Several scan processes with one scanner can take another process's mail for the cause only if the
scanner ends twice between the probe and the answer.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from mail.errors import ScannerSick, ScannerUnavailable, Unscannable

PROBE = b"From: <>\r\nSubject: probe\r\n\r\nAre you there?\r\n"
BLAMES_MAX = 2  # failures of a mail alone that make it unscannable
SUSPECTS_KEPT = 1_000  # mails whose failures are counted

T = TypeVar("T")


class ScannerIsolation:
    """Shared and exclusive access to one scanner, and the failures of mails that ran alone."""

    def __init__(self) -> None:
        self._state_changed = asyncio.Event()
        self._shared_count = 0
        self._is_exclusive = False
        self._exclusive_waiting = 0
        self._blames: OrderedDict[str, int] = OrderedDict()

    async def ask(
        self,
        call: Callable[[bytes], Awaitable[T]],
        content: bytes,
        *,
        key: str,
        alone: bool,
    ) -> T:
        """The result of `call(content)`. `alone`: the last attempt for this mail failed.

        `key` names the mail in all its attempts.

        Raises ScannerUnavailable: hold. Unscannable: the mail breaks the scanner.
        """
        if not alone:
            async with self._shared():
                return await call(content)
        self._refuse_if_blamed(key)
        async with self._exclusive():
            await self._probe(call)
            try:
                answer = await call(content)
            except ScannerSick:
                raise
            except ScannerUnavailable:
                self._blame(key)
                self._refuse_if_blamed(key)
                raise
        self._blames.pop(key, None)
        return answer

    def _refuse_if_blamed(self, key: str) -> None:
        """Raises Unscannable: the mail failed BLAMES_MAX times alone.

        The count stays, so that an attempt that fails later for another reason is not followed by
        another scan.
        """
        if self._blames.get(key, 0) >= BLAMES_MAX:
            raise Unscannable(f"a healthy scanner broke on it {BLAMES_MAX} times")

    def _blame(self, key: str) -> None:
        """Count a failure of the mail; forget the mail whose failure is the oldest."""
        self._blames[key] = self._blames.pop(key, 0) + 1
        if len(self._blames) > SUSPECTS_KEPT:
            self._blames.popitem(last=False)

    async def _probe(self, call: Callable[[bytes], Awaitable[T]]) -> None:
        """Scan a harmless mail. Raises ScannerUnavailable: the scanner is down for all mail."""
        try:
            await call(PROBE)
        except Unscannable as error:
            raise ScannerUnavailable("scanner", f"refuses even a tiny mail: {error}") from error

    @asynccontextmanager
    async def _shared(self) -> AsyncIterator[None]:
        await self._wait_until(lambda: not self._is_exclusive and not self._exclusive_waiting)
        self._shared_count += 1
        try:
            yield
        finally:
            self._shared_count -= 1
            self._wake_all()

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        self._exclusive_waiting += 1
        try:
            await self._wait_until(lambda: not self._is_exclusive and not self._shared_count)
        finally:
            self._exclusive_waiting -= 1
            self._wake_all()
        self._is_exclusive = True
        try:
            yield
        finally:
            self._is_exclusive = False
            self._wake_all()

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._state_changed.wait()

    def _wake_all(self) -> None:
        """Wake all waiting tasks; without an `await`, so that a cancelled task cannot skip it."""
        state_changed, self._state_changed = self._state_changed, asyncio.Event()
        state_changed.set()

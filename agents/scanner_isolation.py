"""Whether a mail breaks a healthy engine, or the engine is away for all.

An engine that ends in the middle of a scan takes down every scan that it was at. So a mail whose
scan failed is tried again alone: nothing else is given to the engine by this process meanwhile,
and a tiny harmless mail has just been answered. What fails so twice is to blame itself.
Several scan processes on one engine can blame each other's mail only if the engine ends twice
within the moment between the probe and the answer.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from mail.errors import ScannerSick, ScannerUnavailable, Unscannable

PROBE = b"From: <>\r\nSubject: probe\r\n\r\nAre you there?\r\n"
BLAMES_MAX = 2  # failures alone that make a mail unscannable
SUSPECTS_KEPT = 1_000

T = TypeVar("T")


class ScannerIsolation:
    """Turns at one engine, and the mails that are suspected of breaking it."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._together = 0
        self._alone = False
        self._waiting_alone = 0
        self._blames: OrderedDict[str, int] = OrderedDict()

    async def ask(
        self,
        call: Callable[[bytes], Awaitable[T]],
        content: bytes,
        *,
        mail_id: str,
        alone: bool,
    ) -> T:
        """`call(content)`. ScannerUnavailable: hold. Unscannable: this mail breaks the engine.

        `alone` is for a mail whose last try failed, in whatever way.
        """
        if not alone:
            async with self._shared():
                return await call(content)
        self._refuse_if_blamed(mail_id)
        async with self._exclusive():
            await self._probe(call)
            try:
                answer = await call(content)
            except ScannerSick:
                raise
            except ScannerUnavailable:
                self._blame(mail_id)
                self._refuse_if_blamed(mail_id)
                raise
        self._blames.pop(mail_id, None)
        return answer

    def _refuse_if_blamed(self, mail_id: str) -> None:
        """The blame stays: tries that fail later for other reasons must not scan it again."""
        if self._blames.get(mail_id, 0) >= BLAMES_MAX:
            raise Unscannable(f"a healthy scanner broke on it {BLAMES_MAX} times")

    def _blame(self, mail_id: str) -> None:
        self._blames[mail_id] = self._blames.pop(mail_id, 0) + 1
        if len(self._blames) > SUSPECTS_KEPT:
            self._blames.popitem(last=False)

    async def _probe(self, call: Callable[[bytes], Awaitable[T]]) -> None:
        """ScannerUnavailable: the engine is away, and nobody is to blame."""
        try:
            await call(PROBE)
        except Unscannable as error:
            raise ScannerUnavailable("scanner", f"refuses even a tiny mail: {error}") from error

    @asynccontextmanager
    async def _shared(self) -> AsyncIterator[None]:
        await self._until(lambda: not self._alone and not self._waiting_alone)
        self._together += 1
        try:
            yield
        finally:
            self._together -= 1
            self._tell()

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        self._waiting_alone += 1
        try:
            await self._until(lambda: not self._alone and not self._together)
        finally:
            self._waiting_alone -= 1
            self._tell()
        self._alone = True
        try:
            yield
        finally:
            self._alone = False
            self._tell()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._changed.wait()

    def _tell(self) -> None:
        """Wake all who wait; without an await, so that no cancelled task can fail to tell."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

"""Tries of a process take turns: any number together, or a suspect one alone."""

import asyncio


class AttemptTurns:
    """Shared by all stages of a process. Pair each `begin` with an `end`."""

    def __init__(self) -> None:
        self._together = 0
        self._suspects = 0  # at work or waiting
        self._turn = asyncio.Lock()
        self._quiet = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    @property
    def is_open(self) -> bool:
        """Whether a try may begin together with others, by `begin_now`."""
        return not self._suspects

    def begin_now(self) -> None:
        self._together += 1

    async def begin(self, *, alone: bool) -> None:
        """Wait for the turn of a try; `alone`: until no other try of the process runs."""
        if not alone:
            while self._suspects:
                await self._open.wait()
            self._together += 1
            return
        self._suspects += 1
        self._open.clear()
        try:
            await self._turn.acquire()
        except BaseException:
            self._one_less()
            raise
        try:
            while self._together:
                self._quiet.clear()
                await self._quiet.wait()
        except BaseException:
            self.end(alone=True)
            raise

    def end(self, *, alone: bool) -> None:
        if alone:
            self._turn.release()
            self._one_less()
            return
        self._together -= 1
        if self._suspects and not self._together:
            self._quiet.set()

    def _one_less(self) -> None:
        self._suspects -= 1
        if not self._suspects:
            self._open.set()

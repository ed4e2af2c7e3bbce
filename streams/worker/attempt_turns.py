"""Turns of attempts in a process: any number of attempts together, or one suspect alone."""

import asyncio


class AttemptTurns:
    """One lock for all stages of a process. Pair each `begin` or `begin_now` with an `end`."""

    def __init__(self) -> None:
        self._together = 0
        self._suspects = 0  # running or waiting
        self._suspect_lock = asyncio.Lock()
        self._idle = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    @property
    def is_open(self) -> bool:
        """Whether an attempt may begin together with others, by `begin_now`."""
        return not self._suspects

    def begin_now(self) -> None:
        self._together += 1

    async def begin(self, *, alone: bool) -> None:
        """Wait until no suspect runs or waits; `alone`: until no other attempt runs."""
        if not alone:
            while self._suspects:
                await self._open.wait()
            self._together += 1
            return
        self._suspects += 1
        self._open.clear()
        try:
            await self._suspect_lock.acquire()
        except BaseException:
            self._remove_suspect()
            raise
        try:
            while self._together:
                self._idle.clear()
                await self._idle.wait()
        except BaseException:
            self.end(alone=True)
            raise

    def end(self, *, alone: bool) -> None:
        if alone:
            self._suspect_lock.release()
            self._remove_suspect()
            return
        self._together -= 1
        if self._suspects and not self._together:
            self._idle.set()

    def _remove_suspect(self) -> None:
        self._suspects -= 1
        if not self._suspects:
            self._open.set()

"""Password checks: argon2 on threads of its own, a few at once, in fair turns among networks."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from edge.fair_turns import FairTurns
from edge.trusted_networks import one_network
from mail.directory.passwords import hash_password, verify_password

T = TypeVar("T")


class PasswordChecks:
    """`at_once` checks at once, at most `waiting_max` wait. Each takes 64 MiB and one core."""

    def __init__(
        self,
        *,
        at_once: int,
        waiting_max: int,
        verify: Callable[[str, str], bool] = verify_password,
    ) -> None:
        self._turns = FairTurns(at_once, waiting_max)
        self._verify = verify
        # Threads apart from the event loop's pool, which serves short work.
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="argon2")

    def close(self) -> None:
        """Drop the checks that wait; checks that run end on their threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def waiting(self) -> int:
        """Checks that wait for a turn."""
        return self._turns.waiting

    def turn(self, peer: str) -> AbstractAsyncContextManager[None]:
        """The turn of a peer's network, in which to call `matches` or `hash`. Raises QueueFull.

        Turns are fair among the widest networks: one IPv6 site has thousands of narrower networks.
        """
        return self._turns.turn(one_network(peer))

    async def matches(self, password_hash: str, password: str) -> bool:
        """Whether `password` made `password_hash`; "" (no such user) is wrong at the same cost."""
        return await self._run(lambda: self._verify(password_hash, password))

    async def hash(self, password: str) -> str:
        """The hash to store for `password`."""
        return await self._run(lambda: hash_password(password))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

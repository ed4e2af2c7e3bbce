"""Check and hash passwords: limited, off the loop, and in fair turns among networks."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from api.context import AppContext
from api.problems import too_many, unavailable
from edge.fair_turns import QueueFull
from edge.login_limiter import LoginAttempt, LoginRateLimited
from edge.trusted_networks import networks_of
from mail.directory.passwords import hash_password, verify_password

T = TypeVar("T")


async def is_right(edge: AppContext, one: LoginAttempt, password_hash: str, password: str) -> bool:
    """Whether `password` made `password_hash`; "" (no such user) is wrong at the same cost.

    Only a wrong password counts as a failure. 429: too many failures. 503: too many wait.
    """
    try:
        await edge.sign_ins.admit(one)
        async with edge.hashing.turn(_line_of(one)), edge.sign_ins.attempt(one) as verdict:
            found = await _work(edge, lambda: verify_password(password_hash, password))
            verdict.is_wrong = not found
    except LoginRateLimited as refused:
        raise too_many("Too many tries to sign in; wait.", refused.wait_ms / 1000) from refused
    except QueueFull:
        raise unavailable(edge.config.retry_after_s) from None
    return found


async def hashed(edge: AppContext, one: LoginAttempt, password: str) -> str:
    """The hash to store. 503: too many wait."""
    try:
        async with edge.hashing.turn(_line_of(one)):
            return await _work(edge, lambda: hash_password(password))
    except QueueFull:
        raise unavailable(edge.config.retry_after_s) from None


def _line_of(one: LoginAttempt) -> str:
    """Its widest network: with IPv6 one site has thousands of narrower ones."""
    return networks_of(one.peer)[-1]


async def _work(edge: AppContext, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(edge.hashers, work)

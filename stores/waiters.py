"""Callers that wait for a write or a read that is done together with those of others."""

import asyncio
from collections.abc import Iterable
from typing import Any


def settle(waiters: Iterable[asyncio.Future[Any]], outcomes: Iterable[Any]) -> None:
    """Give each waiter its outcome: a result, or the exception to raise. Skip cancelled waiters."""
    for waiter, outcome in zip(waiters, outcomes, strict=True):
        if waiter.done():
            continue
        if isinstance(outcome, Exception):
            waiter.set_exception(outcome)
        else:
            waiter.set_result(outcome)

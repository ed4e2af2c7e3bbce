"""Interrupt a search when its time budget ends, in the middle of a statement if need be."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mail.query.time_budget import SearchTimedOut, TimeBudget

_STEPS = 500  # SQLite instructions between checks of the clock: some tenths of a millisecond


@contextmanager
def time_limit(connection: sqlite3.Connection, budget: TimeBudget | None) -> Iterator[float]:
    """Spend the time of the block from `budget`; yield the perf_counter() at which it ends.

    Raises SearchTimedOut: the budget ends in the block.
    """
    if budget is None:
        yield float("inf")
        return
    budget.check()
    began_s = time.perf_counter()
    ends_s = began_s + budget.left_s
    connection.set_progress_handler(lambda: time.perf_counter() > ends_s, _STEPS)
    try:
        yield ends_s
    except sqlite3.OperationalError as error:
        raise SearchTimedOut if is_interrupt(error) else error from error
    finally:
        connection.set_progress_handler(None, 0)
        budget.spend(time.perf_counter() - began_s)


def is_interrupt(error: sqlite3.Error) -> bool:
    return error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT

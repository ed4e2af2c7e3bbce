"""The share of this process's time that one user may take: event loop time and mail parsing.

api/limits/request_rates.py counts requests; this module counts their cost. Searches have a share
of their own (api/limits/search_time.py).
"""

import time
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from api.config import ApiConfig
from api.problems import too_many
from edge.token_bucket import TokenBuckets
from schemas.ids import UserId

T = TypeVar("T")


class WorkShares:
    """`work_s_per_minute` of each user; a user who has taken more must wait."""

    def __init__(self, config: ApiConfig, clock_s: Callable[[], float]) -> None:
        self._shares = TokenBuckets(config.work_s_per_minute, clock_s)

    def admit(self, user_id: UserId) -> None:
        """Raises Problem 429: the user's share is used up."""
        over_s = self._shares.empty_for_s(user_id)
        if over_s > 0:
            raise too_many("Your requests have taken too much time; wait.", over_s)

    def charge(self, user_id: UserId, spent_s: float) -> None:
        self._shares.take(user_id, spent_s)

    @contextmanager
    def charged(self, user_id: UserId) -> Iterator[None]:
        """Charge the duration of the block, for work on a thread or in a child process."""
        began_s = time.perf_counter()
        try:
            yield
        finally:
            self.charge(user_id, time.perf_counter() - began_s)


@types.coroutine
def measure_loop_time(
    work: Coroutine[Any, Any, T], charge: Callable[[float], None]
) -> Generator[Any, Any, T]:
    """Await `work`, then `charge` the seconds for which it held the event loop, without waits."""
    spent_s = 0.0
    step: Callable[[Any], Any] = work.send
    value: Any = None
    try:
        while True:
            began_s = time.perf_counter()
            try:
                awaited = step(value)
            finally:
                spent_s += time.perf_counter() - began_s
            step, value = work.send, None
            try:
                yield awaited
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it is raised in `work`
                step, value = work.throw, error
    except StopIteration as end:
        return cast("T", end.value)
    finally:
        charge(spent_s)

"""Attempts in Redis: a sorted set for each key, of attempts by time. Counted by one script.

A set expires when nothing was added to it for `kept_ms`. All keys of a call are on one server: this
adapter is for one Redis with replicas, not for a Redis cluster.
"""

from collections.abc import Sequence

from mail.ports import CLOCK_SKEW_MS, Attempts
from schemas.directory import AttemptLimit, CountedAttempt
from stores.redis.client import RedisClient

_PREFIX = "attempts:"

# Keys: those of the limits, then those of the attempt. Arguments: the number of limits; the
# attempt's id and time, and the milliseconds to keep it; latest time; then for each limit the
# earliest time (exclusive), the place of the attempt that must leave, and the window.
_BEGIN = """
local limits, id, at, kept, latest = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local wait = 0
for n = 1, limits do
  local earliest, place, window = ARGV[3 * n + 3], ARGV[3 * n + 4], tonumber(ARGV[3 * n + 5])
  local found = redis.call('ZREVRANGEBYSCORE', KEYS[n], latest, '(' .. earliest, 'WITHSCORES',
                           'LIMIT', place, 1)
  if found[2] then
    wait = math.max(wait, math.min(tonumber(found[2]) + window - tonumber(at), window))
  end
end
if wait == 0 then
  for n = limits + 1, #KEYS do
    redis.call('ZADD', KEYS[n], 'NX', at, id)
    redis.call('PEXPIRE', KEYS[n], kept)
  end
end
return wait
"""
_WITHDRAW = "for n = 1, #KEYS do redis.call('ZREM', KEYS[n], ARGV[1]) end"
_PRUNE = """
local pruned = 0
for n = 1, #KEYS do
  pruned = pruned + redis.call('ZREMRANGEBYSCORE', KEYS[n], '-inf', '(' .. ARGV[1])
end
return pruned
"""


class RedisAttempts(Attempts):
    """Attempts that all edges of all hosts share.

    `kept_ms`: at least the longest window. Every method raises StoreUnavailable.
    """

    def __init__(self, client: RedisClient, *, kept_ms: int) -> None:
        self._client = client
        self._kept_ms = kept_ms + CLOCK_SKEW_MS
        self._begin = client.script(_BEGIN)
        self._withdraw = client.script(_WITHDRAW)
        self._prune = client.script(_PRUNE)

    async def begin(self, attempt: CountedAttempt, limits: Sequence[AttemptLimit]) -> int:
        return await self._try(limits, attempt.keys, attempt.attempt_id, attempt.at_ms)

    async def wait_ms(self, limits: Sequence[AttemptLimit], *, at_ms: int) -> int:
        return await self._try(limits, (), "", at_ms)

    async def withdraw(self, attempt: CountedAttempt) -> None:
        await self._withdraw(_names(attempt.keys), [attempt.attempt_id])

    async def prune(self, *, before_ms: int) -> int:
        pruned, place, is_first = 0, 0, True
        while is_first or place:
            place, names = await self._client.walk(f"{_PREFIX}*", place)
            is_first = False
            pruned += int(await self._prune(names, [before_ms])) if names else 0
        return pruned

    async def _try(
        self, limits: Sequence[AttemptLimit], keys: Sequence[str], attempt_id: str, at_ms: int
    ) -> int:
        """Milliseconds to wait; 0: counted under `keys`."""
        arguments: list[int | str] = [
            len(limits), attempt_id, at_ms, self._kept_ms, at_ms + CLOCK_SKEW_MS
        ]  # fmt: skip
        for limit in limits:
            arguments += [at_ms - limit.window_ms, limit.most - 1, limit.window_ms]
        names = _names([limit.key for limit in limits]) + _names(keys)
        return int(await self._begin(names, arguments))


def _names(keys: Sequence[str]) -> list[str]:
    return [_PREFIX + key for key in keys]

"""Tokens for requests in Redis: one number for each bucket, the time at which it is full.

One script takes tokens, by the server's clock. A bucket that is full again has expired.
"""

from mail.ports import REFILL_S, RequestTokens, TokensTaken
from stores.redis.client import RedisClient

_SECOND_US = 1_000_000  # times are in microseconds: a quota of a million is still exact to 1 %

# Key: the bucket. Arguments: microseconds until a token comes back; until an empty bucket is full;
# tokens that are wanted at most. Answer: tokens taken; microseconds until the bucket is full. A
# clock that was set back empties a bucket at most.
_TAKE = """
local each, window, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
local full_in = math.min(math.max(full_at - now, 0), window)
local taken = math.max(0, math.min(most, math.floor((window - full_in) / each + 1e-6)))
if taken > 0 then
  full_in = full_in + taken * each
  redis.call('SET', KEYS[1], string.format('%.0f', now + full_in), 'PX', math.ceil(full_in / 1000))
end
return {taken, math.ceil(full_in)}
"""


class RedisTokens(RequestTokens):
    """Buckets that all edges of all hosts share, for the limit `name`. Raises StoreUnavailable."""

    def __init__(self, client: RedisClient, name: str, quota: int) -> None:
        self.quota = quota
        self._prefix = f"tokens:{name}:"
        self._each_us = REFILL_S * _SECOND_US / quota
        self._take = client.script(_TAKE)

    async def take(self, key: str, *, most: int = 1) -> TokensTaken:
        arguments: list[int | str] = [repr(self._each_us), int(REFILL_S * _SECOND_US), most]
        tokens, full_in_us = await self._take([self._prefix + key], arguments)
        full_in_s = int(full_in_us) / _SECOND_US
        return TokensTaken.of(tokens=int(tokens), quota=self.quota, full_in_s=full_in_s)

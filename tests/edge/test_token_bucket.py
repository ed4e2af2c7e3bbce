"""Token buckets: whole tokens, refill over the window, overdraft."""

from edge.token_bucket import TokenBuckets


def test_tokens_come_back_one_by_one_over_a_minute() -> None:
    now_s = [0.0]
    buckets = TokenBuckets(3, lambda: now_s[0])
    assert buckets.remaining("a") == 3
    assert [buckets.try_take("a") for _ in range(4)] == [0, 0, 0, 20]
    assert (buckets.remaining("a"), buckets.remaining("b")) == (0, 3)
    now_s[0] = 20.0
    assert [buckets.try_take("a") for _ in range(2)] == [0, 20]


def test_an_overdrawn_bucket_is_empty_for_longer() -> None:
    now_s = [0.0]
    buckets = TokenBuckets(60, lambda: now_s[0])
    buckets.take("a", 90)
    assert buckets.empty_for_s("a") == 30
    assert buckets.remaining("a") == 0
    now_s[0] = 89.0
    assert buckets.remaining("a") == 59

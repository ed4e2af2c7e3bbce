"""Connection limits in total and per peer, as every server counts them."""

import pytest

from edge.connection_limits import ConnectionLimiter


@pytest.fixture
def limiter() -> ConnectionLimiter:
    return ConnectionLimiter(total_max=3, per_peer_max=2)


def test_caps_in_total_and_per_peer(limiter: ConnectionLimiter) -> None:
    assert [limiter.connect("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert limiter.connect("192.0.2.2")
    assert not limiter.connect("192.0.2.3")
    assert (limiter.open, limiter.opened_total, limiter.refused_total) == (3, 3, 2)
    limiter.disconnect("192.0.2.1")
    assert limiter.connect("192.0.2.1")


def test_an_ipv6_network_of_64_bits_is_one_peer(limiter: ConnectionLimiter) -> None:
    connected = [limiter.connect(f"2001:db8::{host}") for host in range(1, 4)]
    assert connected == [True, True, False]
    assert limiter.connect("2001:db8:0:1::1")


def test_clients_behind_a_proxy_are_counted_apart_from_its_connections(
    limiter: ConnectionLimiter,
) -> None:
    assert [limiter.connect(None) for _ in range(4)] == [True, True, True, False]
    assert [limiter.acquire("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert (limiter.open, limiter.refused_total) == (3, 2)
    limiter.disconnect("192.0.2.1")
    assert limiter.acquire("192.0.2.1")


def test_a_peer_without_connections_is_forgotten(limiter: ConnectionLimiter) -> None:
    limiter.connect("192.0.2.1")
    limiter.disconnect("192.0.2.1")
    assert limiter.open == 0
    assert not limiter._of_peer

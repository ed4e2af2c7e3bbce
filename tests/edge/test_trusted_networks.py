"""Peers and networks."""

import pytest

from edge.trusted_networks import Networks, one_network, one_peer


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "nonsense", False),
    ],
)
def test_peers_are_known_by_their_network(one, other, *, same: bool) -> None:
    assert (one_peer(one) == one_peer(other)) == same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8:0:1::1", True),
        ("2001:db8::1", "2001:db8:1::1", False),
        ("", "nonsense", False),
    ],
)
def test_a_site_is_larger_than_a_peer(one, other, *, same: bool) -> None:
    assert (one_network(one) == one_network(other)) == same


def test_networks_read_what_they_write_and_know_mapped_addresses() -> None:
    networks = Networks.parse(" 10.0.0.0/8, ::1/128,192.0.2.7 ")
    assert Networks.parse(str(networks)) == networks
    assert [a in networks for a in ("10.9.9.9", "::ffff:10.1.1.1", "::1", "192.0.2.8", "")] == [
        True, True, True, False, False,
    ]  # fmt: skip
    assert "127.0.0.1" not in Networks()
    for bad in ("10.0.0.1/8", "localhost", "10.0.0.0/33"):
        with pytest.raises(ValueError, match=r"network|bits"):
            Networks.parse(bad)

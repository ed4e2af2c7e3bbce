"""Addresses to connect to: global unicast only, in every spelling of an address."""

import pytest

from mail.outbound_addresses import GLOBAL_ONLY, OutboundAddresses

REFUSED = (
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "203.0.113.9",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0",
    "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "100::1", "", "localhost", "127.1", "2130706433",
)  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_of_this_host_and_its_networks_are_refused(address: str) -> None:
    assert not GLOBAL_ONLY.permits(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_global_addresses_are_permitted(address: str) -> None:
    assert GLOBAL_ONLY.permits(address)


def test_an_allowed_network_is_permitted_and_no_other() -> None:
    rule = OutboundAddresses.parse("127.0.0.0/8, fd00::/8")
    assert rule.permitted(["127.0.0.5", "10.0.0.1", "fd00::1", "8.8.8.8", "::ffff:127.0.0.1"]) == [
        "127.0.0.5", "fd00::1", "8.8.8.8", "::ffff:127.0.0.1",
    ]  # fmt: skip
    with pytest.raises(ValueError):
        OutboundAddresses.parse("127.0.0.1/8")

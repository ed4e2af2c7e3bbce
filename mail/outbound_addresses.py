"""Addresses that untrusted names may lead to: global unicast, and networks that are allowed.

The sender of a mail chooses its domain, and the domain chooses its addresses: without this rule
mail would open connections to the machine and its networks (server-side request forgery). Callers
check the addresses that a name resolved to and connect to these addresses, not to the name.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# IPv6 networks whose addresses contain an IPv4 address, or lead to a translator of this network:
# 6to4 (RFC 3056), Teredo (RFC 4380), NAT64 (RFC 6052, RFC 8215), IPv4-compatible (RFC 4291).
_TRANSLATED = tuple(
    ipaddress.IPv6Network(text)
    for text in ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48", "::/96")
)


@dataclass(frozen=True, slots=True)
class OutboundAddresses:
    """The rule. `allowed`: networks that are not global and may be connected to all the same."""

    allowed: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "OutboundAddresses":
        """The rule with the networks in `text`, separated by commas. Raises ValueError."""
        words = (word.strip() for word in text.split(","))
        return cls(tuple(ipaddress.ip_network(word) for word in words if word))

    def permits(self, address: str) -> bool:
        """Whether a connection to `address` is permitted. False: it is no IP address."""
        try:
            ip: _Address = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address):
            if ip.scope_id is not None:
                return False
            ip = ip.ipv4_mapped or ip
        return any(ip in network for network in self.allowed) or _is_global_unicast(ip)

    def permitted(self, addresses: Iterable[str]) -> list[str]:
        """Those of `addresses` that are permitted, in order."""
        return [address for address in addresses if self.permits(address)]


GLOBAL_ONLY = OutboundAddresses()


def _is_global_unicast(ip: _Address) -> bool:
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return True
    return not (ip.is_site_local or any(ip in network for network in _TRANSLATED))

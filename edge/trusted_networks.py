"""Trusted networks, and the network that limits count as one peer; pure."""

import ipaddress
from dataclasses import dataclass

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def plain_address(text: str) -> str | None:
    """The IP address in `text`, without zone, IPv4-mapped as IPv4; None for other text."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def is_loopback(address: str) -> bool:
    """Whether the address is of this host; False for text that is no address."""
    plain = plain_address(address)
    return plain is not None and ipaddress.ip_address(plain).is_loopback


def one_peer(address: str) -> str:
    """The peer that limits count: an IPv4 address, or an IPv6 /64, which one host has (RFC 6177).

    Other text, such as "" for a unix socket, is returned unchanged.
    """
    plain = plain_address(address)
    if plain is None or ":" not in plain:
        return plain or address
    return str(ipaddress.IPv6Network((plain, 64), strict=False))


def networks_of(address: str) -> tuple[str, ...]:
    """The networks that one client of `address` may control, the narrowest first.

    An IPv4 address; or an IPv6 /64, /56 and /48, as assigned to a host, a home and a site
    (RFC 6177). Other text is returned unchanged.
    """
    plain = plain_address(address)
    if plain is None or ":" not in plain:
        return (plain or address,)
    return tuple(str(ipaddress.IPv6Network((plain, bits), strict=False)) for bits in (64, 56, 48))


def one_network(address: str) -> str:
    """The site that limits count: an IPv4 address, or an IPv6 /48."""
    return networks_of(address)[-1]


@dataclass(frozen=True, slots=True)
class Networks:
    """A set of networks, empty by default. As text: separated by commas."""

    networks: tuple[_Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Networks":
        """The networks in `text`. Raises ValueError: not a network, or bits beyond the prefix."""
        words = (word.strip() for word in text.split(","))
        return cls(tuple(ipaddress.ip_network(word) for word in words if word))

    def __contains__(self, address: str) -> bool:
        plain = plain_address(address) if self.networks else None
        if plain is None:
            return False
        ip = ipaddress.ip_address(plain)
        return any(ip in network for network in self.networks)

    def __str__(self) -> str:
        return ",".join(map(str, self.networks))


NONE = Networks()

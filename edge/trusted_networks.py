"""Who a peer is: the networks that are trusted, and what counts as one peer. Pure."""

import ipaddress
from dataclasses import dataclass

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def plain_address(text: str) -> str | None:
    """`text` as an IP address: no zone, IPv4-mapped as IPv4. None when it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def one_peer(address: str) -> str:
    """What limits count as one: an IPv4 address, or an IPv6 /64, as a host owns one (RFC 6177).

    What is no IP address, such as a unix socket's "", is itself.
    """
    plain = plain_address(address)
    if plain is None or ":" not in plain:
        return plain or address
    return str(ipaddress.IPv6Network((plain, 64), strict=False))


def networks_of(address: str) -> tuple[str, ...]:
    """The networks that one may stand behind `address`, from the narrowest.

    An IPv4 address, or an IPv6 /64, /56 and /48: what a host, a home and a site are given
    (RFC 6177). What is no IP address is itself.
    """
    plain = plain_address(address)
    if plain is None or ":" not in plain:
        return (plain or address,)
    return tuple(str(ipaddress.IPv6Network((plain, bits), strict=False)) for bits in (64, 56, 48))


def one_network(address: str) -> str:
    """What limits count as one site: an IPv4 address, or an IPv6 /48."""
    return networks_of(address)[-1]


@dataclass(frozen=True, slots=True)
class Networks:
    """Some networks; none by default. As text: separated by commas."""

    networks: tuple[_Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Networks":
        """ValueError: one is no network (10.0.0.1/8 is none either: bits beyond its length)."""
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

"""Settings of the DNS resolver; cli builds them from the environment."""

from dataclasses import dataclass

from mail.outbound_addresses import GLOBAL_ONLY, OutboundAddresses


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverConfig:
    """Every limit of look-ups, with its unit."""

    server: str = ""  # IP address of the DNS server; "": those of /etc/resolv.conf
    port: int = 53
    own_names: frozenset[str] = frozenset()  # of this host as a mail host, lower-case A-labels
    own_addresses: frozenset[str] = frozenset()  # to which a connection would be to this service
    outbound: OutboundAddresses = GLOBAL_ONLY
    ipv6: bool = True

    try_s: float = 3.0  # for one try of one server
    lookup_s: float = 10.0  # for one question, with its tries
    queries_max: int = 200  # questions at once
    ttl_min_s: float = 30.0  # bounds of the time for which an answer is kept
    ttl_max_s: float = 3600.0
    absent_s: float = 60.0  # for which the absence of a name or of addresses is kept
    failed_s: float = 5.0  # for which a failed look-up is kept
    entries_max: int = 10_000  # of the cache

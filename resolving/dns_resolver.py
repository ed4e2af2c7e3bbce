"""MxResolver by DNS: MX, implicit MX, null MX, our own hosts left out, addresses checked.

RFC 5321 §5.1, RFC 7505, RFC 3974. An answer is kept for its time to live, within bounds.
"""

import asyncio
import ipaddress
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from mail.addresses import normal_domain
from mail.errors import BadAddress
from mail.ports.mx_resolver import (
    ADDRESSES_MAX,
    MAIL_HOSTS_MAX,
    MailHost,
    MxResolver,
    Unroutable,
)
from resolving.answer_cache import AnswerCache
from resolving.config import ResolverConfig
from resolving.dns_client import DnsClient, LookupFailed, NameAbsent

NULL_MX = Unroutable(permanent=True, status="5.1.10", text="the domain takes no mail (null MX)")
NO_DOMAIN = Unroutable(permanent=True, status="5.1.2", text="the domain does not exist")
BAD_DOMAIN = Unroutable(permanent=True, status="5.1.2", text="not a domain name")
NO_HOST = Unroutable(permanent=True, status="5.4.4", text="the domain has no mail host")
NO_ADDRESS = Unroutable(permanent=True, status="5.4.4", text="the mail host has no address")
NOT_PUBLIC = Unroutable(
    permanent=True, status="5.4.4", text="the mail host has no address that may be connected to"
)
LOOP = Unroutable(permanent=True, status="5.4.6", text="the mail would loop back to this host")
_Hosts = tuple[MailHost, ...] | Unroutable


@dataclass(frozen=True, slots=True)
class _Host:
    """One host as it was looked up: a host or why not, and its seconds to live."""

    found: MailHost | Unroutable
    live_s: float
    is_own: bool = False


class DnsMxResolver(MxResolver):
    """Look-ups at one or several recursive DNS servers, with a cache."""

    def __init__(self, config: ResolverConfig, *, client: DnsClient | None = None) -> None:
        self._config = config
        self._client = client or DnsClient(config)
        self._domains: AnswerCache[_Hosts] = AnswerCache(entries_max=config.entries_max)
        self._hosts: AnswerCache[_Host] = AnswerCache(entries_max=config.entries_max)

    async def mail_hosts(self, domain: str) -> _Hosts:
        try:
            name = normal_domain(domain)
        except BadAddress:
            return BAD_DOMAIN
        if name.startswith("["):
            found = self._literal(name).found
            return found if isinstance(found, Unroutable) else (found,)
        hosts = await self._domains.get(name, lambda: self._look_up(name))
        return hosts if isinstance(hosts, Unroutable) else _in_order(hosts)

    async def host(self, name: str) -> MailHost | Unroutable:
        found = (await self._host(name.lower().removesuffix("."), 0)).found
        return found if isinstance(found, Unroutable) else _in_order((found,))[0]

    async def _look_up(self, name: str) -> tuple[_Hosts, float]:
        try:
            exchangers, live_s = await self._client.mail_exchangers(name)
        except NameAbsent:
            return NO_DOMAIN, self._config.absent_s
        except LookupFailed as error:
            return _failed(error), self._config.failed_s
        if exchangers and not any(host for _, host in exchangers):
            return NULL_MX, self._within_bounds(live_s)
        named = sorted({(preference, host) for preference, host in exchangers if host})
        chosen = named[:MAIL_HOSTS_MAX] or [(0, name)]
        looked_up = await asyncio.gather(*(self._host(host, order) for order, host in chosen))
        hosts = self._usable([*zip(chosen, looked_up, strict=True)])
        live_s = min([live_s if named else self._config.ttl_max_s, *(h.live_s for h in looked_up)])
        if not isinstance(hosts, Unroutable) or hosts.permanent:
            live_s = self._within_bounds(live_s)
        return hosts, live_s

    def _usable(self, looked_up: Sequence[tuple[tuple[int, str], _Host]]) -> _Hosts:
        """The hosts with addresses, below the preference value of the first that is ours."""
        cut = min((order for (order, _), host in looked_up if host.is_own), default=None)
        rest = [host.found for (order, _), host in looked_up if cut is None or order < cut]
        hosts = tuple(found for found in rest if isinstance(found, MailHost))
        if hosts:
            return hosts
        failures = [found for found in rest if isinstance(found, Unroutable)]
        temporary = [failure for failure in failures if not failure.permanent]
        if temporary:
            return temporary[0]
        if not failures:
            return LOOP
        return failures[0] if len(failures) == 1 else NO_HOST

    async def _host(self, name: str, preference: int) -> _Host:
        host = await self._hosts.get(name, lambda: self._look_up_host(name))
        if isinstance(host.found, Unroutable):
            return host
        return replace(host, found=replace(host.found, preference=preference))

    async def _look_up_host(self, name: str) -> tuple[_Host, float]:
        if name in self._config.own_names:
            return _Host(LOOP, self._config.absent_s, is_own=True), self._config.absent_s
        try:
            records = await self._client.addresses(name)
        except NameAbsent:
            return _Host(NO_ADDRESS, self._config.absent_s), self._config.absent_s
        except LookupFailed as error:
            return _Host(_failed(error), self._config.failed_s), self._config.failed_s
        live_s = self._within_bounds(records.ttl_s)
        return self._host_at(name, records.values, live_s), live_s

    def _literal(self, literal: str) -> _Host:
        address = literal[1:-1].removeprefix("IPv6:")
        return self._host_at(address, (address,), 0.0)

    def _host_at(self, name: str, values: Sequence[str], live_s: float) -> _Host:
        addresses = [str(_plain(value)) for value in values]
        if any(address in self._config.own_addresses for address in addresses):
            return _Host(LOOP, live_s, is_own=True)
        permitted = self._config.outbound.permitted(addresses)
        if permitted:
            return _Host(MailHost(name=name, addresses=tuple(permitted)), live_s)
        return _Host(NOT_PUBLIC if addresses else NO_ADDRESS, live_s)

    def _within_bounds(self, ttl_s: float) -> float:
        return min(max(ttl_s, self._config.ttl_min_s), self._config.ttl_max_s)


def _failed(error: LookupFailed) -> Unroutable:
    return Unroutable(permanent=False, status="4.4.3", text=str(error))


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def _in_order(hosts: Sequence[MailHost]) -> tuple[MailHost, ...]:
    """The hosts by preference, in random order among equals; the same for their addresses."""
    shuffled = random.sample(hosts, len(hosts))
    return tuple(
        replace(host, addresses=_alternating(host.addresses))
        for host in sorted(shuffled, key=lambda each: each.preference)
    )


def _alternating(addresses: Sequence[str]) -> tuple[str, ...]:
    """Addresses in random order, IPv6 and IPv4 in turn: one family may have no route from here."""
    shuffled = random.sample(addresses, len(addresses))
    ipv6 = [address for address in shuffled if ":" in address]
    ipv4 = [address for address in shuffled if ":" not in address]
    pairs = chain.from_iterable(zip_longest(ipv6, ipv4))
    return tuple(address for address in pairs if address is not None)[:ADDRESSES_MAX]

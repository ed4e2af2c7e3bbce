"""DNS questions for MX and addresses, by dnspython; an answer is values with a time to live."""

import asyncio
from dataclasses import dataclass
from typing import Any

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from resolving.config import ResolverConfig

_UDP_PAYLOAD_BYTES = 1232  # beyond it the server truncates, and the question goes by TCP


class NameAbsent(Exception):
    """The name does not exist (NXDOMAIN)."""


class LookupFailed(Exception):
    """No server answered in time, or the answer was a failure (SERVFAIL, REFUSED)."""


@dataclass(frozen=True, slots=True)
class Records:
    """The values of one record set as text, and their seconds to live; empty: no such records."""

    values: tuple[str, ...]
    ttl_s: float


class DnsClient:
    """Questions to the servers of the configuration. Does not verify DNSSEC."""

    def __init__(self, config: ResolverConfig) -> None:
        self._config = config
        self._turns = asyncio.Semaphore(config.queries_max)
        self._backend = dns.asyncbackend.get_backend("asyncio")
        self._resolver = dns.asyncresolver.Resolver(configure=not config.server)
        if config.server:
            self._resolver.nameservers = [config.server]
            self._resolver.port = config.port
        self._resolver.timeout = config.try_s
        self._resolver.lifetime = config.lookup_s
        self._resolver.use_edns(0, 0, _UDP_PAYLOAD_BYTES)

    async def mail_exchangers(self, name: str) -> tuple[list[tuple[int, str]], float]:
        """Return (preference, host name) of each MX record, "" for the root, and the time to live.

        Raises NameAbsent, LookupFailed.
        """
        answer = await self._ask(name, dns.rdatatype.MX)
        if answer.rrset is None:
            return [], self._config.absent_s
        pairs = [
            (int(record.preference), record.exchange.to_text(omit_final_dot=True).lower())
            for record in answer.rrset
        ]
        pairs = [(preference, host.removesuffix(".")) for preference, host in pairs]
        return pairs, float(answer.rrset.ttl)

    async def addresses(self, name: str) -> Records:
        """Return the IPv4 and IPv6 addresses of `name`, as the records have them.

        One family that cannot be looked up is left out if the other has addresses.
        Raises NameAbsent, LookupFailed.
        """
        kinds = [dns.rdatatype.A, *([dns.rdatatype.AAAA] if self._config.ipv6 else [])]
        answers = await asyncio.gather(
            *(self._records(name, kind) for kind in kinds), return_exceptions=True
        )
        found = [each for each in answers if isinstance(each, Records) and each.values]
        if found:
            values = tuple(value for each in found for value in each.values)
            return Records(values, min(each.ttl_s for each in found))
        errors = [each for each in answers if isinstance(each, BaseException)]
        for error in sorted(errors, key=lambda each: isinstance(each, NameAbsent)):
            raise error
        return Records((), self._config.absent_s)

    async def texts(self, name: str, kind: str) -> list[str]:
        """Return the values of MX or TXT records as text; the strings of a TXT record are joined.

        Raises NameAbsent, LookupFailed.
        """
        answer = await self._ask(name, dns.rdatatype.from_text(kind))
        return [_text_of(record) for record in answer.rrset or ()]

    async def _records(self, name: str, kind: dns.rdatatype.RdataType) -> Records:
        answer = await self._ask(name, kind)
        if answer.rrset is None:
            return Records((), self._config.absent_s)
        return Records(tuple(record.address for record in answer.rrset), float(answer.rrset.ttl))

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer:
        try:
            qname = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise NameAbsent from error
        try:
            async with self._turns:
                return await self._resolver.resolve(
                    qname, kind, raise_on_no_answer=False, search=False, backend=self._backend
                )
        except dns.resolver.NXDOMAIN:
            raise NameAbsent from None
        except (dns.exception.DNSException, OSError) as error:
            raise LookupFailed(_in_short(error)) from error


def _text_of(record: Any) -> str:
    if record.rdtype == dns.rdatatype.TXT:
        return b"".join(record.strings).decode("utf-8", "replace")
    return str(record.to_text())


def _in_short(error: Exception) -> str:
    if isinstance(error, dns.resolver.LifetimeTimeout):
        return "no DNS server answered in time"
    if isinstance(error, dns.resolver.NoNameservers):
        return "the DNS servers answered with a failure"
    return f"DNS: {type(error).__name__}"

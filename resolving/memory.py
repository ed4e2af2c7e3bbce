"""MxResolver in memory: a table of domains and hosts, for tests and experiments."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mail.ports.mx_resolver import MailHost, MxResolver, Unroutable

UNKNOWN = Unroutable(permanent=True, status="5.1.2", text="no such domain")


@dataclass(frozen=True, slots=True)
class MemoryMxResolver(MxResolver):
    """Answers of `domains` and `hosts`; other names do not exist."""

    domains: Mapping[str, tuple[MailHost, ...] | Unroutable] = field(default_factory=dict)
    hosts: Mapping[str, MailHost | Unroutable] = field(default_factory=dict)

    async def mail_hosts(self, domain: str) -> tuple[MailHost, ...] | Unroutable:
        return self.domains.get(domain.lower(), UNKNOWN)

    async def host(self, name: str) -> MailHost | Unroutable:
        return self.hosts.get(name.lower(), UNKNOWN)

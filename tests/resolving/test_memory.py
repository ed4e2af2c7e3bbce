"""The resolver in memory passes the contract."""

from dataclasses import dataclass, field

import pytest

from mail.ports.mx_resolver import MailHost, Unroutable
from resolving.memory import MemoryMxResolver
from tests.contracts.mx_resolver import MxResolverContract

NULL = Unroutable(permanent=True, status="5.1.10", text="null MX")


@dataclass
class World:
    domains: dict = field(default_factory=dict)
    hosts: dict = field(default_factory=dict)

    @property
    def resolver(self):
        return MemoryMxResolver(self.domains, self.hosts)

    def add(self, domain, hosts):
        made = [
            MailHost(name=name, preference=preference, addresses=tuple(addresses))
            for name, (preference, addresses) in hosts.items()
        ]
        ordered = sorted(made, key=lambda host: host.preference)
        self.domains[domain] = tuple(ordered) if ordered else NULL
        for host in made:
            self.hosts[host.name] = MailHost(name=host.name, addresses=host.addresses)


class TestMemoryMxResolver(MxResolverContract):
    @pytest.fixture
    def mx_world(self):
        return World()

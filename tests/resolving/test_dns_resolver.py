"""The DNS resolver against a DNS server of the test's own."""

import asyncio
from dataclasses import dataclass

import pytest

from mail.outbound_addresses import OutboundAddresses
from mail.ports.mx_resolver import ADDRESSES_MAX, MAIL_HOSTS_MAX, MailHost, Unroutable
from resolving.config import ResolverConfig
from resolving.dns_resolver import DnsMxResolver
from tests.contracts.mx_resolver import MxResolverContract
from tests.support.dns_server import SERVFAIL, SILENT, TRUNCATED, DnsServer, serving

LOOPBACK = OutboundAddresses.parse("127.0.0.0/8,::1/128")


def resolver_of(server: DnsServer, **settings) -> DnsMxResolver:
    defaults = {"outbound": LOOPBACK, "try_s": 5.0, "lookup_s": 10.0}
    return DnsMxResolver(
        ResolverConfig(server="127.0.0.1", port=server.port, **(defaults | settings))
    )


@dataclass
class World:
    server: DnsServer
    resolver: DnsMxResolver

    def add(self, domain, hosts):
        self.server.zone[domain, "MX"] = [
            f"{preference} {name}." for name, (preference, _) in hosts.items()
        ] or ["0 ."]
        for name, (_, addresses) in hosts.items():
            self.server.zone[name, "A"] = [each for each in addresses if ":" not in each]
            self.server.zone[name, "AAAA"] = [each for each in addresses if ":" in each]


@pytest.fixture
async def server():
    async with serving() as server:
        yield server


class TestDnsMxResolver(MxResolverContract):
    @pytest.fixture
    def mx_world(self, server):
        return World(server, resolver_of(server))


@pytest.fixture
def world(server):
    return World(server, resolver_of(server))


async def failure(resolver: DnsMxResolver, domain: str) -> tuple[bool, str]:
    found = await resolver.mail_hosts(domain)
    assert isinstance(found, Unroutable), found
    assert found.text.isprintable()
    return found.permanent, found.status


async def names(resolver: DnsMxResolver, domain: str) -> list[str]:
    found = await resolver.mail_hosts(domain)
    assert not isinstance(found, Unroutable), found
    return [host.name for host in found]


async def test_a_domain_without_mx_is_its_own_mail_host(world):
    world.server.zone["plain.test", "A"] = ["127.0.0.9"]
    assert await world.resolver.mail_hosts("plain.test") == (
        MailHost(name="plain.test", addresses=("127.0.0.9",)),
    )


async def test_a_domain_with_neither_mx_nor_address_fails(world):
    world.server.zone["empty.test", "TXT"] = ['"x"']
    assert await failure(world.resolver, "empty.test") == (True, "5.4.4")


async def test_the_implicit_mx_is_not_used_when_mx_hosts_have_no_address(world):
    world.server.zone["dead.test", "A"] = ["127.0.0.9"]
    world.server.zone["dead.test", "MX"] = ["10 gone.dead.test.", "20 gone2.dead.test."]
    assert await failure(world.resolver, "dead.test") == (True, "5.4.4")


@pytest.mark.parametrize("fault", [SERVFAIL, SILENT])
async def test_a_dns_server_that_fails_defers(server, fault):
    world = World(server, resolver_of(server, try_s=0.2, lookup_s=0.4))
    world.server.zone["ill.test", "MX"] = fault
    assert await failure(world.resolver, "ill.test") == (False, "4.4.3")
    world.server.zone["half.test", "MX"] = ["10 a.half.test.", "20 gone.half.test."]
    world.server.zone["a.half.test", "A"] = world.server.zone["a.half.test", "AAAA"] = fault
    assert await failure(world.resolver, "half.test") == (False, "4.4.3")


async def test_a_failed_look_up_of_one_family_leaves_the_other(world):
    world.add("v4.test", {"mx.v4.test": (10, ["127.0.0.1"])})
    world.server.zone["mx.v4.test", "AAAA"] = SERVFAIL
    assert await names(world.resolver, "v4.test") == ["mx.v4.test"]


async def test_no_dns_server_defers():
    closed = DnsServer(port=1)
    assert await failure(resolver_of(closed, try_s=0.2, lookup_s=0.4), "any.test") == (
        False,
        "4.4.3",
    )


async def test_a_failed_look_up_is_repeated_soon(server):
    resolver = resolver_of(server, failed_s=0.0)
    server.zone["flaky.test", "MX"] = SERVFAIL
    assert await failure(resolver, "flaky.test") == (False, "4.4.3")
    server.add("flaky.test", "mx.flaky.test")
    assert await names(resolver, "flaky.test") == ["mx.flaky.test"]


async def test_a_truncated_answer_is_asked_for_by_tcp(world):
    world.add("long.test", {f"mx{n}.long.test": (n, ["127.0.0.1"]) for n in range(5)})
    world.server.zone["long.test", TRUNCATED] = "yes"
    assert await names(world.resolver, "long.test") == [f"mx{n}.long.test" for n in range(5)]
    assert world.server.by_tcp == 1


async def test_hosts_and_addresses_are_bounded(world):
    many = [f"127.0.1.{n}" for n in range(1, 40)]
    world.add("wide.test", {f"mx{n}.wide.test": (n, many) for n in range(60)})
    found = await world.resolver.mail_hosts("wide.test")
    assert [host.name for host in found] == [f"mx{n}.wide.test" for n in range(MAIL_HOSTS_MAX)]
    assert {len(host.addresses) for host in found} == {ADDRESSES_MAX}


async def test_equal_preferences_come_in_random_order(world):
    world.add("even.test", {f"mx{n}.even.test": (10, ["127.0.0.1"]) for n in range(4)})
    orders = {tuple(await names(world.resolver, "even.test")) for _ in range(60)}
    assert len(orders) > 5
    assert world.server.asked["even.test", "MX"] == 1  # from the cache, in another order each time


async def test_ipv6_and_ipv4_come_in_turn(world):
    world.add("both.test", {"mx.both.test": (10, ["127.0.0.1", "127.0.0.2", "::1"])})
    (host,) = await world.resolver.mail_hosts("both.test")
    assert host.addresses[0] == "::1"
    assert sorted(host.addresses[1:]) == ["127.0.0.1", "127.0.0.2"]


async def test_this_host_and_those_behind_it_are_left_out(server):
    resolver = resolver_of(
        server, own_names=frozenset({"us.test"}), own_addresses=frozenset({"127.0.0.77"})
    )
    world = World(server, resolver)
    world.add("backup.test", {
        "best.test": (5, ["127.0.0.2"]), "us.test": (10, ["127.0.0.3"]),
        "equal.test": (10, ["127.0.0.4"]), "worse.test": (20, ["127.0.0.5"]),
    })  # fmt: skip
    assert await names(resolver, "backup.test") == ["best.test"]
    world.add(
        "alias.test", {"other-name.test": (10, ["127.0.0.77"]), "w.test": (20, ["127.0.0.5"])}
    )
    assert await failure(resolver, "alias.test") == (True, "5.4.6")
    server.zone["own.test", "A"] = ["127.0.0.77"]
    assert await failure(resolver, "own.test") == (True, "5.4.6")
    assert await failure(resolver, "[127.0.0.77]") == (True, "5.4.6")


async def test_only_permitted_addresses_are_returned(server):
    resolver = resolver_of(server, outbound=OutboundAddresses())
    world = World(server, resolver)
    world.add("inside.test", {"mx.inside.test": (10, ["127.0.0.1", "10.0.0.1", "169.254.169.254"])})
    world.add("mixed.test", {"mx.mixed.test": (10, ["127.0.0.1", "8.8.8.8", "::1"])})
    assert await failure(resolver, "inside.test") == (True, "5.4.4")
    (host,) = await resolver.mail_hosts("mixed.test")
    assert host.addresses == ("8.8.8.8",)
    for literal in ("[127.0.0.1]", "[IPv6:::1]", "[IPv6:::ffff:127.0.0.1]", "[10.0.0.1]"):
        assert await failure(resolver, literal) == (True, "5.4.4")
    (host,) = await resolver.mail_hosts("[8.8.8.8]")
    assert host == MailHost(name="8.8.8.8", addresses=("8.8.8.8",))


async def test_an_international_domain_is_asked_for_by_its_a_labels(world):
    world.add("xn--bcher-kva.test", {"mx.xn--bcher-kva.test": (10, ["127.0.0.1"])})
    assert await names(world.resolver, "Bücher.test") == ["mx.xn--bcher-kva.test"]


@pytest.mark.parametrize("domain", ["", ".", "a..b", "x" * 64 + ".test", "a b", "a\r\n.b", "[x]"])
async def test_text_that_is_no_domain_fails_without_a_question(world, domain):
    assert await failure(world.resolver, domain) == (True, "5.1.2")
    assert not world.server.asked


async def test_concurrent_callers_share_one_question(world):
    world.add("busy.test", {"mx.busy.test": (10, ["127.0.0.1"])})
    waiting = [asyncio.create_task(names(world.resolver, "busy.test")) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # the others get their answer all the same
    assert await asyncio.gather(*waiting[1:]) == [["mx.busy.test"]] * 19
    assert world.server.asked["busy.test", "MX"] == 1


async def test_the_cache_is_bounded_and_ends_with_the_time_to_live(server):
    resolver = resolver_of(server, entries_max=10, ttl_min_s=0.0)
    server.ttl_s = 0
    server.add("short.test", "mx.short.test")
    for _ in range(2):
        assert await names(resolver, "short.test") == ["mx.short.test"]
    assert server.asked["short.test", "MX"] == 2
    for n in range(30):
        await failure(resolver, f"absent{n}.test")
    assert len(resolver._domains) == 10


async def test_odd_names_of_mail_hosts_do_no_harm(world):
    world.server.zone["odd.test", "MX"] = [
        "10 127.0.0.1.", r"20 a\032b\010c.odd.test.", "30 mx_1.odd.test.", "40 .",
    ]  # fmt: skip
    world.server.zone["mx_1.odd.test", "A"] = ["127.0.0.1"]
    assert await names(world.resolver, "odd.test") == ["mx_1.odd.test"]

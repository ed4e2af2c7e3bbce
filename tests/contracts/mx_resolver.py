"""Contract of the MxResolver port.

Fixture `mx_world`: `resolver`, and `add(domain, {host: (preference, addresses)})`, which makes a
domain with MX records; without hosts it has a null MX.
"""

from mail.ports.mx_resolver import MailHost, Unroutable


class MxResolverContract:
    async def test_hosts_come_by_preference_with_their_addresses(self, mx_world):
        mx_world.add(
            "two.test", {"b.two.test": (20, ["127.0.0.2"]), "a.two.test": (10, ["127.0.0.1"])}
        )
        for _ in range(5):
            assert await mx_world.resolver.mail_hosts("two.test") == (
                MailHost(name="a.two.test", preference=10, addresses=("127.0.0.1",)),
                MailHost(name="b.two.test", preference=20, addresses=("127.0.0.2",)),
            )

    async def test_names_are_compared_without_case(self, mx_world):
        mx_world.add("case.test", {"mx.case.test": (1, ["127.0.0.1"])})
        hosts = await mx_world.resolver.mail_hosts("CASE.Test")
        assert [host.name for host in hosts] == ["mx.case.test"]

    async def test_a_domain_that_does_not_exist_fails(self, mx_world):
        found = await mx_world.resolver.mail_hosts("absent.test")
        assert isinstance(found, Unroutable)
        assert (found.permanent, found.status) == (True, "5.1.2")

    async def test_a_domain_with_a_null_mx_fails(self, mx_world):
        mx_world.add("null.test", {})
        found = await mx_world.resolver.mail_hosts("null.test")
        assert isinstance(found, Unroutable)
        assert (found.permanent, found.status) == (True, "5.1.10")

    async def test_a_host_is_found_by_its_name_alone(self, mx_world):
        mx_world.add("smart.test", {"relay.smart.test": (10, ["127.0.0.3"])})
        found = await mx_world.resolver.host("relay.smart.test")
        assert found == MailHost(name="relay.smart.test", addresses=("127.0.0.3",))
        assert isinstance(await mx_world.resolver.host("absent.smart.test"), Unroutable)

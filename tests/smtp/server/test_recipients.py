"""RCPT with aliases, groups and quotas: replies and accepted recipients."""

from mail.directory import aliases
from mail.errors import StoreUnavailable
from mail.ids import message_id
from schemas.directory import Quota, User
from schemas.mailbox import Usage
from stores.memory import MemoryDirectory

MAIL = b"Subject: hi\r\n\r\nhello\r\n.\r\n"
FULL = "452 4.2.2"


async def to(client, name: str) -> str:
    return await client.ask(f"RCPT TO:<{name}@postriver.test>")


async def begin(client, parameters: str = "") -> None:
    await client.ask("RSET")
    assert (await client.ask(f"MAIL FROM:<s@remote.example>{parameters}")).startswith("250")


async def people(rig, count: int) -> list[str]:
    for n in range(count):
        await rig.directory.add_user(
            User(
                user_id=f"p{n}", domain_id="d1", address=f"p{n}@postriver.test", disabled=False,
                created_at_ms=1,
            )
        )  # fmt: skip
    return [f"p{n}@postriver.test" for n in range(count)]


async def group(rig, name: str, members: list[str]) -> None:
    await aliases.add_members(rig.directory, f"{name}@postriver.test", members, at_ms=1)


async def test_one_mail_reaches_each_user_once_whatever_led_there(rig):
    await aliases.add_alias(rig.directory, "chief@postriver.test", "alice@postriver.test", at_ms=1)
    await group(rig, "all", ["bob@postriver.test", "chief@postriver.test"])
    await rig.serve()
    client = await rig.connect()
    paths = [f"{name}@postriver.test" for name in ("all", "Chief+x", "alice+y")]
    assert (await client.send_mail(MAIL, *paths)).startswith("250 2.0.0")
    (mail,) = rig.mails()
    assert [(one.address, one.user_id) for one in mail.envelope.recipients] == [
        (paths[0], "u-bob"), (paths[0], "u-alice"), (paths[1], "u-alice"), (paths[2], "u-alice"),
    ]  # fmt: skip
    ids = {message_id(mail.mail_id, one.user_id) for one in mail.envelope.recipients}
    assert len(ids) == 2


async def test_a_removed_address_is_unknown_at_the_next_rcpt(rig):
    await group(rig, "all", ["bob@postriver.test"])
    await rig.serve()
    client = await rig.connect()
    await client.greet()
    await begin(client)
    assert (await to(client, "all")).startswith("250")
    await aliases.remove(rig.directory, "all@postriver.test", is_group=True)
    await begin(client)
    assert (await to(client, "all")).startswith("550 5.1.1")


async def test_groups_beyond_one_event_come_with_another_mail(rig):
    await group(rig, "all", await people(rig, 4))
    await rig.serve(owners_max=6)
    client = await rig.connect()
    await client.greet()
    await begin(client)
    replies = [await to(client, name) for name in ("all", "all+x", "alice", "bob", "p0")]
    assert [reply[:9] for reply in replies] == [
        "250 2.1.5", "452 4.5.3", "250 2.1.5", "250 2.1.5", "452 4.5.3",
    ]  # fmt: skip


async def test_a_full_mailbox_is_told_for_its_recipient_alone(rig):
    await rig.directory.set_user_quota("u-alice", Quota(size_bytes=1000))
    rig.store.used["u-alice"] = Usage(900, 3)
    await rig.serve()
    client = await rig.connect()
    await client.greet()
    await begin(client)
    assert (await to(client, "alice")).startswith("250")
    await begin(client, " SIZE=100")
    assert (await to(client, "alice")).startswith("250")
    await begin(client, " SIZE=101")
    assert (await to(client, "alice")).startswith(FULL)
    assert (await to(client, "bob")).startswith("250")
    assert (await client.ask("DATA")).startswith("354")
    await client.send(MAIL)
    assert (await client.reply()).startswith("250")
    assert [one.user_id for one in rig.mails()[0].envelope.recipients] == ["u-bob"]
    assert rig.store.asked == ["u-alice"]


async def test_quotas_by_default_by_number_and_by_domain(rig):
    rig.default_quota = Quota(messages=3)
    await rig.directory.set_user_quota("u-bob", Quota(messages=0))
    rig.store.used |= {"u-alice": Usage(1, 3), "u-bob": Usage(1, 3)}
    await rig.serve()
    client = await rig.connect()
    await client.greet()
    await begin(client)
    assert (await to(client, "alice")).startswith(FULL)
    assert (await to(client, "bob")).startswith("250")
    rig.store.used["d1"] = Usage(7, 6)
    await rig.directory.set_domain_quota("d1", Quota(size_bytes=7))
    await begin(client)
    assert (await to(client, "bob")).startswith(FULL)
    for role in ("postmaster", "Abuse+x", "ABUSE"):
        assert not (await to(client, role)).startswith("452"), role
    assert (await client.ask("RCPT TO:<Postmaster>")).startswith("250")


async def test_a_group_is_open_while_one_member_has_room(rig):
    await group(rig, "all", ["alice@postriver.test", "bob@postriver.test"])
    rig.default_quota = Quota(messages=1)
    rig.store.used["u-alice"] = Usage(1, 1)
    await rig.serve()
    client = await rig.connect()
    await client.greet()
    await begin(client)
    assert (await to(client, "all")).startswith("250")
    await rig.directory.set_domain_quota("d1", Quota(messages=1))
    rig.store.used["d1"] = Usage(1, 1)
    await begin(client)
    assert (await to(client, "all")).startswith(FULL)


async def test_mail_is_taken_while_the_mail_store_is_away(rig):
    def fault(_step: str) -> None:
        raise StoreUnavailable("mail", "gone")

    rig.default_quota = Quota(messages=1)
    rig.store.fault = fault
    await rig.serve()
    client = await rig.connect()
    assert (await client.send_mail(MAIL, "alice@postriver.test")).startswith("250 2.0.0")


async def test_an_empty_directory_is_no_reason_to_refuse_anybody(rig):
    """A lost file or an unmounted disk must not bounce mail."""
    rig.directory = MemoryDirectory()
    await rig.serve()
    client = await rig.connect()
    await client.greet()
    await begin(client)
    for path in ("alice@postriver.test", "postmaster", "x@elsewhere.example"):
        assert (await client.ask(f"RCPT TO:<{path}>")).startswith("451 4.3.0")

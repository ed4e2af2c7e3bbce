"""Addresses: syntax, normal form, and owners."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.addresses import normal_address, normal_domain, split_address
from mail.directory.recipient_resolver import DirectoryResolver, recipients
from mail.errors import BadAddress, NotFound, Refused
from schemas.directory import Domain, User
from stores.memory import MemoryDirectory

LABEL = "a" * 63


@pytest.mark.parametrize(
    ("address", "normal"),
    [
        ("Bob@Example.COM", "bob@example.com"),
        ('"bob"@example.com', "bob@example.com"),
        ('"b\\ob"@example.com', "bob@example.com"),
        ('"b ob"@example.com', '"b ob"@example.com'),
        ('"a@b"@example.com', '"a@b"@example.com'),
        ('""@example.com', '""@example.com'),
        ("bob@bücher.example", "bob@xn--bcher-kva.example"),
        ("bob@XN--BCHER-KVA.example", "bob@xn--bcher-kva.example"),
        ("김@한국.kr", "김@xn--3e0b707e.kr"),
        ("e\u0301@x.test", "\u00e9@x.test"),
        ("STRASSE@x.test", "strasse@x.test"),
        ("bob@X.test.", "bob@x.test"),
        ("bob@Bücher.example.", "bob@xn--bcher-kva.example"),
        ("bob@[127.0.0.1]", "bob@[127.0.0.1]"),
        ("bob@[IPv6:0:0:0:0:0:0:0:1]", "bob@[IPv6:::1]"),
        (f"{'a' * 64}@x.test", f"{'a' * 64}@x.test"),
        ("!#$%&'*+-/=?^_`{|}~@x.test", "!#$%&'*+-/=?^_`{|}~@x.test"),
    ],
)
def test_the_normal_form(address: str, normal: str) -> None:
    assert normal_address(address) == normal


@pytest.mark.parametrize(
    "address",
    [
        "", "bob", "@x.test", "bob@", "bob@@x.test", ".bob@x.test", "bob.@x.test", "b..ob@x.test",
        "b ob@x.test", "bob@x..test", "bob@-x.test", "bob@x-.test", "bob@x_y.test", "bob@x.test..",
        "bob@.", f"{'a' * 65}@x.test", f"bob@{LABEL}a.test", f"bob@{'.'.join([LABEL] * 4)}",
        '"bob@x.test',
        '"b"ob@x.test', "bob@[300.0.0.1]", "bob@[127.0.0.1", "bob@xn--a.test", "b\x00ob@x.test",
        "b\u2028ob@x.test", "bob@x.test\r\nRCPT TO:<eve@x.test>", "<bob@x.test>",
        "가" * 22 + "@x.test",
    ],
)  # fmt: skip
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(BadAddress):
        normal_address(address)


@given(st.text(max_size=40), st.sampled_from(["@x.test", "@Bücher.example", "", "@[::1]"]))
def test_the_normal_form_is_final_and_nothing_else_is_raised(local: str, domain: str) -> None:
    try:
        normal = normal_address(local + domain)
    except BadAddress:
        return
    assert normal_address(normal) == normal
    assert split_address(normal)[1] == normal_domain(normal.rpartition("@")[2])


@given(st.text(max_size=20))
def test_domains_are_final_too(name: str) -> None:
    try:
        normal = normal_domain(name)
    except BadAddress:
        return
    assert normal_domain(normal) == normal
    assert normal.isascii()


def user(user_id: str, address: str, *, domain_id: str = "d1") -> User:
    return User(
        user_id=user_id, domain_id=domain_id, address=address, disabled=False, created_at_ms=0
    )


async def ids(resolver: DirectoryResolver, path: str) -> list[str]:
    return [owner.user.user_id for owner in await resolver.resolve(path)]


@pytest.fixture
async def directory() -> MemoryDirectory:
    directory = MemoryDirectory()
    first = Domain(domain_id="d1", name="postriver.test", created_at_ms=1)
    second = Domain(domain_id="d2", name="bücher.example", created_at_ms=2)
    await directory.add_domain(first, user("p1", "postmaster@postriver.test"))
    second_postmaster = user("p2", "postmaster@bücher.example", domain_id="d2")
    await directory.add_domain(second, second_postmaster)
    await directory.add_user(user("bob", "Bob@postriver.test"))
    await directory.add_user(user("list", "bob+list@postriver.test"))
    return directory


@pytest.mark.parametrize(
    ("path", "user_id"),
    [
        ("bob@postriver.test", "bob"),
        ("BOB@POSTRIVER.TEST", "bob"),
        ('"bob"@postriver.test', "bob"),
        ("bob+x@postriver.test", "bob"),
        ("bob+x+y@postriver.test", "bob"),
        ('"bob+x y"@postriver.test', "bob"),
        ("bob+list@postriver.test", "list"),
        ("postmaster@postriver.test", "p1"),
        ("Postmaster+x@xn--bcher-kva.example", "p2"),
        ("postmaster", "p1"),
        ("POSTMASTER", "p1"),
        ("postmaster@mx.postriver.test", "p1"),
    ],
)
async def test_the_owner_of_a_forward_path(directory, path: str, user_id: str) -> None:
    owners = await DirectoryResolver(directory, "mx.postriver.test").resolve(path)
    (recipient,) = recipients(path, owners)
    assert (recipient.address, recipient.user_id) == (path, user_id)
    assert recipient.domain_id == ("d2" if user_id == "p2" else "d1")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("eve@postriver.test", NotFound),
        ("+bob@postriver.test", NotFound),
        ("eve+bob@postriver.test", NotFound),
        ("bob@elsewhere.test", Refused),
        ("bob@mx.postriver.test", Refused),
        ("bob@[127.0.0.1]", Refused),
        ("bob@sub.postriver.test", Refused),
        ("bob%elsewhere.test@postriver.test", NotFound),
        ("bob", BadAddress),
        ("bob@postriver.test@", BadAddress),
    ],
)
async def test_who_is_nobody_here(directory, path: str, error: type[Refused]) -> None:
    with pytest.raises(Refused) as caught:
        await DirectoryResolver(directory, "mx.postriver.test").resolve(path)
    assert type(caught.value) is error


async def test_the_postmaster_of_the_hosts_own_domain_comes_first(directory) -> None:
    resolver = DirectoryResolver(directory, "mx.xn--bcher-kva.example")
    assert await ids(resolver, "postmaster") == ["p2"]
    unrelated = DirectoryResolver(directory, "mx.elsewhere.test")
    assert await ids(unrelated, "postmaster") == ["p1"]


async def test_a_disabled_user_still_gets_mail(directory) -> None:
    await directory.set_disabled("bob", disabled=True)
    resolver = DirectoryResolver(directory, "mx.postriver.test")
    assert await ids(resolver, "bob@postriver.test") == ["bob"]

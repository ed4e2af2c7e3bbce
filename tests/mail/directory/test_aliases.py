"""Aliases, groups, catch-all: what an operator may create, and the users that receive the mail."""

import pytest

from mail.directory import aliases
from mail.directory.alias_expansion import STEPS_MAX, USERS_MAX
from mail.directory.recipient_resolver import DirectoryResolver
from mail.errors import AlreadyExists, BadAddress, NotFound, Refused, StoreUnavailable
from operations import accounts
from schemas.directory import Alias, User
from stores.memory import MemoryDirectory

HERE, THERE = "here.test", "there.test"


class Office:
    """Two domains and a few people; a name without domain is here."""

    def __init__(self, directory: MemoryDirectory) -> None:
        self.directory = directory

    @staticmethod
    def at(name: str) -> str:
        return name if "@" in name else f"{name}@{HERE}"

    async def person(self, name: str) -> None:
        address = self.at(name)
        domain = await self.directory.domain(address.partition("@")[2])
        assert domain is not None
        await self.directory.add_user(
            User(
                user_id=name, domain_id=domain.domain_id, address=address, disabled=False,
                created_at_ms=1,
            )
        )  # fmt: skip

    async def alias(self, address: str, target: str) -> Alias:
        return await aliases.add_alias(self.directory, self.at(address), self.at(target), at_ms=1)

    async def group(self, address: str, *members: str) -> Alias:
        return await aliases.add_members(
            self.directory, self.at(address), [self.at(one) for one in members], at_ms=1
        )

    async def catch_all(self, address: str | None) -> None:
        domain = await accounts.get_domain(self.directory, HERE)
        await aliases.set_catch_all(self.directory, domain, address and self.at(address))

    async def reaches(self, path: str) -> list[str]:
        resolver = DirectoryResolver(self.directory, f"mx.{HERE}")
        owners = await resolver.resolve(self.at(path))
        assert all(owner.user.domain_id == owner.domain.domain_id for owner in owners)
        return [owner.user.user_id for owner in owners]


@pytest.fixture
async def office() -> Office:
    directory = MemoryDirectory()
    made = Office(directory)
    for name in (HERE, THERE):
        await accounts.add_domain(directory, name)
    for name in ("ann", "bob", "cay", f"eve@{THERE}"):
        await made.person(name)
    return made


async def test_everybody_is_reached_once(office: Office) -> None:
    await office.alias("chief", "ANN")
    await office.group("staff", "bob", "chief", "ann", f"eve@{THERE}")
    await office.group("all", "staff", "cay", "bob")
    assert await office.reaches("chief") == ["ann"]
    assert await office.reaches("Chief+x") == ["ann"]
    assert sorted(await office.reaches("all+news")) == ["ann", "bob", "cay", f"eve@{THERE}"]


async def test_more_members_are_added_and_some_taken_out(office: Office) -> None:
    await office.group("staff", "ann")
    assert (await office.group("staff", "bob", "ann")).targets == ("ann@here.test", "bob@here.test")
    left = await aliases.remove_members(office.directory, "staff@here.test", ["BOB@here.test"])
    assert left.targets == ("ann@here.test",)
    assert await office.reaches("staff") == ["ann"]
    with pytest.raises(Refused, match="the group would be empty"):
        await aliases.remove_members(office.directory, "staff@here.test", ["ann@here.test"])
    with pytest.raises(NotFound, match="no member"):
        await aliases.remove_members(office.directory, "staff@here.test", ["cay@here.test"])


async def test_a_catch_all_has_what_nobody_has(office: Office) -> None:
    with pytest.raises(NotFound):
        await office.reaches("nobody")
    await office.catch_all("bob")
    for path in ("nobody", "nobody+x", "+x", "abuse"):
        assert await office.reaches(path) == ["bob"]
    assert await office.reaches("ann+x") == ["ann"]
    (postmaster,) = await office.reaches("postmaster")
    assert postmaster not in {"bob", "ann"}
    assert await office.reaches("postmaster+x") == [postmaster]
    with pytest.raises(NotFound):
        await office.reaches(f"nobody@{THERE}")
    await office.catch_all(None)
    with pytest.raises(NotFound):
        await office.reaches("nobody")


async def test_who_reads_abuse_is_said_by_its_own_address_first(office: Office) -> None:
    await accounts.set_postmaster(office.directory, HERE, "ann@here.test")
    assert await office.reaches("abuse") == await office.reaches("postmaster+x") == ["ann"]
    await office.group("abuse", "bob", "cay")
    assert await office.reaches("abuse") == ["bob", "cay"]
    assert await office.reaches("postmaster") == ["ann"]


async def test_an_appointed_postmaster_reads_the_mail_of_one_domain_only(office: Office) -> None:
    roles = ("postmaster", "abuse")
    before = [await office.reaches(f"{role}@{THERE}") for role in roles]
    await accounts.set_postmaster(office.directory, HERE, "ann@here.test")
    assert [await office.reaches(role) for role in roles] == [["ann"], ["ann"]]
    assert [await office.reaches(f"{role}@{THERE}") for role in roles] == before
    await accounts.set_postmaster(office.directory, THERE, f"eve@{THERE}")
    assert [await office.reaches(role) for role in roles] == [["ann"], ["ann"]]
    assert [await office.reaches(f"{role}@{THERE}") for role in roles] == [[f"eve@{THERE}"]] * 2


async def test_abuse_without_an_owner_is_read_by_the_postmaster(office: Office) -> None:
    """RFC 2142 §4."""
    postmaster = await office.reaches("postmaster")
    assert len(postmaster) == 1
    for path in ("abuse", "Abuse+x"):
        assert await office.reaches(path) == postmaster


@pytest.mark.parametrize(
    ("address", "target", "error", "words"),
    [
        ("ann", "bob", AlreadyExists, "ann@here.test is a user"),
        ("postmaster", "bob", AlreadyExists, "is a user"),
        ("taken", "ann", AlreadyExists, "is an alias already"),
        ("team", "ann", AlreadyExists, "is a group already"),
        ("new", "new", Refused, "would lead to itself"),
        ("new", "nobody", NotFound, "no user, alias or group"),
        ("new", "ann@elsewhere.test", Refused, "in no domain here"),
        ("new@elsewhere.test", "ann", NotFound, "not a domain here"),
        ("new@here.test ", "ann", BadAddress, "domain"),
        ("new", "x@y@z", BadAddress, "local part"),
    ],
)
async def test_what_cannot_be_an_alias(
    office: Office, address: str, target: str, error: type[Refused], words: str
) -> None:
    await office.alias("taken", "bob")
    await office.group("team", "bob")
    before = await office.directory.list_aliases(limit=9)
    with pytest.raises(error, match=words):
        await office.alias(address, target)
    assert await office.directory.list_aliases(limit=9) == before


async def test_nothing_leads_back_to_itself(office: Office) -> None:
    await office.group("a", "ann")
    await office.alias("b", "a")
    await office.group("c", "b", "bob")
    for back in ("a", "b", "c"):
        with pytest.raises(Refused, match="lead to itself"):
            await office.group("a", back)
    assert await office.reaches("c") == ["bob", "ann"]


async def test_what_something_leads_to_is_not_removed(office: Office) -> None:
    await office.alias("chief", "ann")
    await office.group("staff", "chief", "bob")
    await office.catch_all("staff")
    for address, is_group, leading in (
        ("chief", False, "staff@here.test"),
        ("staff", True, r"\*@here.test"),
    ):
        with pytest.raises(Refused, match=leading):
            await aliases.remove(office.directory, office.at(address), is_group=is_group)
    with pytest.raises(NotFound, match="no alias"):
        await aliases.remove(office.directory, "staff@here.test", is_group=False)
    await office.catch_all(None)
    await aliases.remove(office.directory, "staff@here.test", is_group=True)
    with pytest.raises(NotFound):
        await office.reaches("staff")


async def test_steps_and_users_have_bounds_from_wherever_they_are_seen(office: Office) -> None:
    """A group in the middle must not grow so that one above it is beyond the bounds."""
    for step in range(STEPS_MAX):
        await office.group(f"s{step}", f"s{step - 1}" if step else "ann")
    assert await office.reaches(f"s{STEPS_MAX - 1}") == ["ann"]
    for address, member in (("top", f"s{STEPS_MAX - 1}"), ("s0", "more")):
        await office.group("more", "bob")
        with pytest.raises(Refused, match="nested more than"):
            await office.group(address, member)
    names = [f"p{n}" for n in range(USERS_MAX)]
    for name in names:
        await office.person(name)
    await office.group("most", *names)
    assert len(await office.reaches("most")) == USERS_MAX
    with pytest.raises(Refused, match="more than 1000 users"):
        await office.group("most", "ann")
    await office.group("half", *names[:10])
    await office.group("both", "half", "most")
    with pytest.raises(Refused, match="more than 1000 users"):
        await office.group("half", "ann")


async def test_what_two_changes_at_once_have_made_is_walked_within_bounds(office: Office) -> None:
    """Loops are walked once; too much is no reason to bounce, nor to reach only some."""
    domain = await accounts.get_domain(office.directory, HERE)

    async def put(address: str, *targets: str) -> None:
        made = Alias(
            address=office.at(address), domain_id=domain.domain_id, is_group=True,
            targets=tuple(office.at(one) for one in targets), created_at_ms=1,
        )  # fmt: skip
        await office.directory.add_alias(made)

    await put("a", "b", "ann", "gone")
    await put("b", "a", "bob")
    assert await office.reaches("a") == ["ann", "bob"]
    await put("empty", "gone")
    with pytest.raises(NotFound):
        await office.reaches("empty")
    for step in range(STEPS_MAX + 1):
        await put(f"s{step}", f"s{step + 1}")
    await put(f"s{STEPS_MAX + 1}", "ann")
    with pytest.raises(StoreUnavailable):
        await office.reaches("s0")

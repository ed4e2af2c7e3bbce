"""Sign-in by application password: scopes, revocation, limits, and what the owner sees."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec import structs

from edge.sign_in.authenticator import Authenticator, SignedIn, WrongCredentials
from edge.sign_in.login_client import LoginClient, SignInScope
from edge.sign_in.login_limiter import LoginLimits, LoginRateLimited
from edge.sign_in.password_cache import PasswordCache
from mail.clock import now_ms
from mail.directory.app_passwords import new_app_password
from schemas.directory import AppPassword, Domain, User
from stores.memory import MemoryAttempts, MemoryDirectory
from stores.sqlite.attempts import SqliteAttempts
from stores.sqlite.directory.store import SqliteDirectory
from tests.support.sign_in import CountedHasher, authenticator_of, fast_hash

ADDRESS, PASSWORD = "alice@example.org", "correct horse"
POSTMASTER = User(user_id="pm", domain_id="d", address="pm@example.org", disabled=False,
                  created_at_ms=0)  # fmt: skip
ALICE = User(user_id="u1", domain_id="d", address=ADDRESS, disabled=False, created_at_ms=0,
             password_hash=fast_hash(PASSWORD))  # fmt: skip
BOB = structs.replace(ALICE, user_id="u2", address="bob@example.org")
EXAMPLE = Domain(domain_id="d", name="example.org", created_at_ms=0)
PEER = "2001:db8:1:2::7"
LIMITS = LoginLimits(per_source=3, connections=5)


class Rig:
    """An authenticator whose hasher counts its calls, and application passwords of alice."""

    def __init__(self) -> None:
        self.directory, self.hasher = MemoryDirectory(), CountedHasher()
        self.authenticator = authenticator_of(
            self.directory, MemoryAttempts(), LIMITS, hasher=self.hasher
        )

    async def make(self, name: str, *scopes: str, user: User = ALICE) -> tuple[AppPassword, str]:
        row, secret = new_app_password(user.user_id, name, scopes)
        await self.directory.add_app_password(row)
        return row, secret

    async def sign_in(
        self, password: str, scope: SignInScope, *, protocol: str = "imap", address: str = ADDRESS
    ) -> SignedIn:
        client = LoginClient(protocol=protocol, peer=PEER)
        return await self.authenticator.authenticate(address, password, client, scope=scope)

    async def refused(self, password: str, scope: SignInScope, **fields: str) -> bool:
        with pytest.raises(WrongCredentials) as error:
            await self.sign_in(password, scope, **fields)
        return error.value.detail == "address or password is wrong"

    async def log(self) -> list[tuple[str, str, str, str]]:
        rows = await self.directory.sign_ins("u1", limit=50)
        return [
            (row.outcome, row.protocol, row.app_password_name, row.missing_scope)
            for row in reversed(rows)
        ]


async def settled(directory) -> None:
    await directory.add_domain(EXAMPLE, POSTMASTER)
    for user in (ALICE, BOB):
        await directory.add_user(user)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await settled(rig.directory)
    yield rig
    rig.authenticator.close()


async def test_it_is_accepted_without_argon2_in_every_form(rig: Rig) -> None:
    row, secret = await rig.make("Phone", "read")
    for typed in (secret, secret.replace("-", ""), secret.upper(), secret.replace("-", " ")):
        assert await rig.sign_in(typed, "read") == SignedIn(user=ALICE, app_password=row)
        row = (await rig.directory.app_passwords("u1"))[0]
    assert rig.hasher.checked == []
    assert await rig.log() == [("success", "imap", "Phone", "")]


async def test_the_accounts_password_is_accepted_for_every_scope(rig: Rig) -> None:
    await rig.make("Phone", "read")
    for scope in ("account", "read", "send"):
        assert await rig.sign_in(PASSWORD, scope) == SignedIn(user=ALICE)


@pytest.mark.parametrize(
    ("scopes", "asked", "admitted"),
    [
        (("read",), "read", True),
        (("read",), "send", False),
        (("send",), "send", True),
        (("send",), "read", False),
        (("read", "send"), "read", True),
        (("read", "send"), "send", True),
        (("read", "send"), "account", False),
    ],
)
async def test_a_scope_admits_what_it_names(rig: Rig, scopes, asked, admitted) -> None:
    _, secret = await rig.make("Phone", *scopes)
    if admitted:
        assert await rig.sign_in(secret, asked)
    else:
        assert await rig.refused(secret, asked)
    outcome = ("success", "imap", "Phone", "") if admitted else ("failure", "imap", "Phone", asked)
    assert await rig.log() == [outcome]


async def test_a_missing_scope_locks_nothing_and_is_logged_once(rig: Rig) -> None:
    _, secret = await rig.make("Phone", "read")
    for _ in range(5):
        assert await rig.refused(secret, "send", protocol="submission")
    with pytest.raises(LoginRateLimited):  # limited as successes are: no password was guessed
        await rig.sign_in(secret, "send", protocol="submission")
    assert await rig.sign_in(secret, "read")
    assert await rig.sign_in(PASSWORD, "account", protocol="http")
    assert await rig.log() == [
        ("failure", "submission", "Phone", "send"), ("success", "imap", "Phone", ""),
        ("success", "http", "", ""),
    ]  # fmt: skip


async def test_it_belongs_to_one_user(rig: Rig) -> None:
    _, secret = await rig.make("Phone", "read")
    for address in ("bob@example.org", "nobody@example.org", "no address"):
        assert await rig.refused(secret, "read", address=address)
    assert rig.hasher.checked == [BOB.password_hash, "", ""]


async def test_a_wrong_one_counts_as_a_wrong_password(rig: Rig) -> None:
    _, secret = await rig.make("Phone", "read")
    wrong = secret[:-1] + ("a" if secret[-1] != "a" else "b")
    for _ in range(3):
        assert await rig.refused(wrong, "read")
    assert len(rig.hasher.checked) == 3
    with pytest.raises(LoginRateLimited):
        await rig.sign_in(PASSWORD, "read")
    assert await rig.sign_in(secret, "read"), "a flood of guesses does not lock it out"


async def test_a_password_of_the_same_form_is_the_accounts_password(rig: Rig) -> None:
    same_form = "abcd-efgh-jkmn-pqrs-tuvw-xyz2"
    await rig.directory.set_password("u1", fast_hash(same_form))
    assert (await rig.sign_in(same_form, "account")).app_password is None


async def test_successes_are_limited(rig: Rig) -> None:
    _, secret = await rig.make("Phone", "read")
    for _ in range(5):
        await rig.sign_in(secret, "read")
    with pytest.raises(LoginRateLimited):
        await rig.sign_in(secret, "read")


async def test_a_revoked_one_is_refused_at_once_and_its_connections_end(rig: Rig) -> None:
    row, secret = await rig.make("Phone", "read")
    _, other = await rig.make("Tablet", "read")
    signed_in = await rig.sign_in(secret, "read")
    assert await rig.authenticator.is_current(signed_in)
    await rig.directory.revoke_app_password("u1", row.app_password_id)
    assert await rig.refused(secret, "read")
    assert not await rig.authenticator.is_current(signed_in)
    assert await rig.sign_in(other, "read")


async def test_disabling_refuses_it_and_a_new_password_does_not(rig: Rig) -> None:
    _, secret = await rig.make("Phone", "read")
    await rig.directory.set_password("u1", fast_hash("a new one"))
    signed_in = await rig.sign_in(secret, "read")
    await rig.directory.set_disabled("u1", disabled=True)
    assert await rig.refused(secret, "read")
    assert not await rig.authenticator.is_current(signed_in)
    await rig.directory.set_disabled("u1", disabled=False)
    await rig.directory.set_password("u1", fast_hash("another"), revoke_app_passwords=True)
    assert await rig.refused(secret, "read")


async def test_a_user_without_a_password_cannot_sign_in_by_it_either(rig: Rig) -> None:
    _, secret = await rig.make("Old", "read", user=POSTMASTER)
    assert await rig.refused(secret, "read", address="pm@example.org")


async def test_the_last_use_is_recorded_once_an_hour_with_protocol_and_network(rig: Rig) -> None:
    row, secret = await rig.make("Phone", "read")
    await rig.sign_in(secret, "read")
    (used,) = await rig.directory.app_passwords("u1")
    assert (used.used_protocol, used.used_network) == ("imap", "2001:db8:1::/48")
    assert abs(used.used_at_ms - now_ms()) < 60_000
    await rig.sign_in(secret, "read", protocol="pop3")
    assert await rig.directory.app_passwords("u1") == [used]
    hour_ago = structs.replace(used, used_at_ms=used.used_at_ms - 3_600_000)
    await rig.directory.revoke_app_password("u1", row.app_password_id)
    await rig.directory.add_app_password(hour_ago)
    await rig.sign_in(secret, "read", protocol="pop3")
    (again,) = await rig.directory.app_passwords("u1")
    assert (again.used_protocol, again.used_at_ms >= used.used_at_ms) == ("pop3", True)


async def test_it_does_not_confirm_the_accounts_password(rig: Rig) -> None:
    _, secret = await rig.make("Phone", "read", "send")
    client = LoginClient(protocol="http", peer=PEER)
    with pytest.raises(WrongCredentials):
        await rig.authenticator.confirm(ALICE, secret, client, session_sha256="s")


async def test_what_one_process_changes_another_sees_at_once(tmp_path: Path) -> None:
    """Two processes with caches of their own share the files of the directory and of attempts."""
    directories = [await SqliteDirectory.open(tmp_path / "directory.sqlite") for _ in range(2)]
    attempts = [await SqliteAttempts.open(tmp_path / "attempts.sqlite") for _ in range(2)]
    hashers = [CountedHasher(), CountedHasher()]
    await settled(directories[0])
    rules = LoginLimits(per_source=9, connections=99)
    processes: list[Authenticator] = [
        authenticator_of(*ports, rules, hasher=hasher, cache=PasswordCache())
        for *ports, hasher in zip(directories, attempts, hashers, strict=True)
    ]
    row, secret = new_app_password("u1", "Phone", ["read"])
    await directories[0].add_app_password(row)

    async def admitted(password: str) -> list[bool]:
        client, results = LoginClient(protocol="imap", peer=PEER), []
        for process in processes:
            try:
                await process.authenticate(ADDRESS, password, client, scope="read")
            except WrongCredentials:
                results.append(False)
            else:
                results.append(True)
        return results

    for password in (secret, PASSWORD, PASSWORD):
        assert await admitted(password) == [True, True]
    assert [len(hasher.checked) for hasher in hashers] == [1, 1], "the second time is cached"
    await directories[0].revoke_app_password("u1", row.app_password_id)
    assert await admitted(secret) == [False, False]
    await directories[0].set_password("u1", fast_hash("a new one"))
    assert await admitted(PASSWORD) == [False, False]
    assert await admitted("a new one") == [True, True]
    await directories[0].set_disabled("u1", disabled=True)
    assert await admitted("a new one") == [False, False]
    for closed in (*processes, *directories, *attempts):
        if (closing := closed.close()) is not None:
            await closing

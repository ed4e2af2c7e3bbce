"""The password cache: argon2 is spared, and nothing else changes for right and wrong passwords."""

import asyncio
import pickle
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from msgspec import structs

from edge.sign_in.authenticator import Authenticator, AuthenticatorBusy, SignedIn, WrongCredentials
from edge.sign_in.login_client import LoginClient
from edge.sign_in.login_limiter import LoginLimits, LoginRateLimited
from edge.sign_in.password_cache import PasswordCache
from schemas.directory import Domain, User
from stores.memory import MemoryAttempts, MemoryDirectory
from tests.support.sign_in import CountedHasher, authenticator_of, fast_hash

ADDRESS, PASSWORD = "alice@example.org", "correct hörse"
POSTMASTER = User(user_id="pm", domain_id="d", address="pm@example.org", disabled=False,
                  created_at_ms=0)  # fmt: skip
ALICE = User(user_id="u1", domain_id="d", address=ADDRESS, disabled=False, created_at_ms=0,
             password_hash=fast_hash(PASSWORD))  # fmt: skip
PHONE = LoginClient(protocol="imap", peer="192.0.2.1")


@dataclass
class Rig:
    """Two processes with one directory; each has its own cache and hasher."""

    directory: MemoryDirectory = field(default_factory=MemoryDirectory)
    attempts: MemoryAttempts = field(default_factory=MemoryAttempts)
    hashers: list[CountedHasher] = field(default_factory=lambda: [CountedHasher() for _ in "ab"])
    now_s: list[float] = field(default_factory=lambda: [0.0])

    def __post_init__(self) -> None:
        self.caches = [
            PasswordCache(keep_s=300, entries_max=3, clock=lambda: self.now_s[0]) for _ in "ab"
        ]
        limits = LoginLimits(per_source=3, connections=1000)
        self.processes: list[Authenticator] = [
            authenticator_of(self.directory, self.attempts, limits, hasher=hasher, cache=cache)
            for hasher, cache in zip(self.hashers, self.caches, strict=True)
        ]

    async def sign_in(self, password: str = PASSWORD, *, process: int = 0) -> SignedIn | None:
        """None: the credentials are wrong."""
        try:
            return await self.processes[process].authenticate(
                ADDRESS, password, PHONE, scope="read"
            )
        except WrongCredentials:
            return None

    @property
    def checks(self) -> list[int]:
        return [len(hasher.checked) for hasher in self.hashers]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    domain = Domain(domain_id="d", name="example.org", created_at_ms=0)
    await rig.directory.add_domain(domain, POSTMASTER)
    await rig.directory.add_user(ALICE)
    yield rig
    for process in rig.processes:
        process.close()


async def test_argon2_runs_once_for_many_connections(rig: Rig) -> None:
    assert [await rig.sign_in() for _ in range(5)] == [SignedIn(user=ALICE)] * 5
    assert rig.checks == [1, 0]
    await rig.sign_in(process=1)
    assert rig.checks == [1, 1], "each process has its own cache"


async def test_connections_at_once_are_not_taken_for_guesses(rig: Rig) -> None:
    await rig.sign_in()
    signed_in = await asyncio.gather(*(rig.sign_in() for _ in range(30)))
    assert signed_in == [SignedIn(user=ALICE)] * 30
    assert rig.checks == [1, 0]


async def test_the_first_connections_at_once_cost_one_check(rig: Rig) -> None:
    process = authenticator_of(
        rig.directory, rig.attempts, LoginLimits(), hasher=rig.hashers[0], cache=rig.caches[0],
        waiting_max=9,
    )  # fmt: skip
    signing_in = (process.authenticate(ADDRESS, PASSWORD, PHONE, scope="read") for _ in range(5))
    assert await asyncio.gather(*signing_in) == [SignedIn(user=ALICE)] * 5
    assert rig.checks == [1, 0]
    process.close()


async def test_an_entry_lasts_from_the_check_not_from_the_last_use(rig: Rig) -> None:
    for now_s in (0, 200, 299, 301):
        rig.now_s[0] = now_s
        assert await rig.sign_in()
    assert rig.checks == [2, 0]


async def test_normal_forms_of_a_password_are_one_password(rig: Rig) -> None:
    await rig.sign_in()
    decomposed = PASSWORD.replace("ö", "o\N{COMBINING DIAERESIS}")
    assert await rig.sign_in(decomposed)
    assert rig.checks == [1, 0]


async def test_a_wrong_password_is_checked_by_argon2_and_counts(rig: Rig) -> None:
    await rig.sign_in()
    for _ in range(3):
        assert await rig.sign_in("wrong") is None
    assert rig.checks == [4, 0], "a mismatch costs the time of a check"
    with pytest.raises(LoginRateLimited):
        await rig.sign_in()
    outcomes = [row.outcome for row in await rig.directory.sign_ins("u1", limit=9)]
    assert sorted(outcomes) == ["failure"] * 3 + ["lockout", "success"]


async def test_a_wrong_password_does_not_displace_the_right_one(rig: Rig) -> None:
    await rig.sign_in()
    await rig.sign_in("wrong")
    await rig.sign_in()
    assert rig.checks == [2, 0]


@pytest.mark.parametrize("cached", [True, False])
async def test_unknown_users_and_wrong_passwords_cost_one_check(rig: Rig, cached) -> None:
    if cached:
        await rig.sign_in()
    before = rig.checks[0]
    assert await rig.sign_in("wrong") is None
    for address in ("nobody@example.org", "no address"):
        with pytest.raises(WrongCredentials):
            await rig.processes[0].authenticate(address, PASSWORD, PHONE, scope="read")
    assert rig.hashers[0].checked[before:] == [fast_hash(PASSWORD), "", ""]


async def test_guesses_against_the_cache_count_while_all_places_are_taken(rig: Rig) -> None:
    """Else a client that fills the line could guess without a limit: 200 or 503."""
    await rig.sign_in()
    stranger = LoginClient(protocol="imap", peer="198.51.100.1")
    async with rig.processes[0]._checks.turn("a"):
        waiting = asyncio.create_task(rig.processes[0].hash("x", stranger))
        while not rig.processes[0]._checks.waiting:
            await asyncio.sleep(0)
        for _ in range(3):
            with pytest.raises(AuthenticatorBusy):
                await rig.processes[0].authenticate(ADDRESS, "wrong", stranger, scope="read")
        with pytest.raises(LoginRateLimited):
            await rig.processes[0].authenticate(ADDRESS, PASSWORD, stranger, scope="read")
        assert await rig.sign_in(), "the user's own connections do not wait in the line"
    await waiting


async def test_a_new_password_counts_at_once_in_every_process(rig: Rig) -> None:
    for process in (0, 1):
        await rig.sign_in(process=process)
    await rig.directory.set_password("u1", fast_hash("a new one"))
    for process in (0, 1):
        assert await rig.sign_in(process=process) is None
        assert await rig.sign_in("a new one", process=process)


async def test_a_password_that_is_set_back_is_a_new_hash(rig: Rig) -> None:
    await rig.sign_in()
    await rig.directory.set_password("u1", fast_hash("a new one"))
    await rig.sign_in("a new one")
    await rig.directory.set_password("u1", fast_hash(PASSWORD))
    assert await rig.sign_in("a new one") is None
    assert await rig.sign_in()


async def test_a_disabled_user_is_refused_at_once_and_let_in_again(rig: Rig) -> None:
    signed_in = await rig.sign_in()
    await rig.directory.set_disabled("u1", disabled=True)
    assert await rig.sign_in() is None
    assert not await rig.processes[0].is_current(signed_in)
    assert rig.hashers[0].checked[-1] == "", "as for an unknown user"
    await rig.directory.set_disabled("u1", disabled=False)
    assert await rig.sign_in()


async def test_a_deleted_user_is_refused_at_once(rig: Rig) -> None:
    signed_in = await rig.sign_in()
    del rig.directory._users["u1"]  # no command deletes users yet
    assert await rig.sign_in() is None
    assert not await rig.processes[0].is_current(signed_in)


async def test_repeated_sign_ins_are_recorded_once(rig: Rig) -> None:
    for _ in range(5):
        await rig.sign_in()
    other = LoginClient(protocol="pop3", peer="192.0.2.1")
    await rig.processes[0].authenticate(ADDRESS, PASSWORD, other, scope="read")
    rows = await rig.directory.sign_ins("u1", limit=9)
    assert sorted((row.protocol, row.outcome) for row in rows) == [
        ("imap", "success"), ("pop3", "success"),
    ]  # fmt: skip
    for _ in range(2):
        await rig.processes[0].authenticate(ADDRESS, PASSWORD, other, scope="account")
    assert len(await rig.directory.sign_ins("u1", limit=9)) == 4, "each begins a session"


def test_the_cache_is_bounded_and_has_no_password() -> None:
    cache = PasswordCache(entries_max=3)
    users = [structs.replace(ALICE, user_id=f"u{number}") for number in range(100)]
    for user in users:
        cache.add(user, PASSWORD)
    assert len(cache) == 3
    assert cache.of(users[0]) is None
    cached = cache.of(users[-1])
    assert cached is not None
    assert cached.matches(PASSWORD)
    assert not cached.matches("")
    assert not cached.matches(PASSWORD + "\ud800")
    kept = pickle.dumps([(key, str(entry)) for key, entry in cache._entries._entries.items()])
    assert b"correct" not in kept
    assert "correct" not in str(vars(cache))


def test_two_caches_have_two_keys() -> None:
    entries = []
    for _ in range(2):
        cache = PasswordCache()
        cache.add(ALICE, PASSWORD)
        entries.append(str(cache._entries._entries["u1"][1]))
    assert entries[0] != entries[1]

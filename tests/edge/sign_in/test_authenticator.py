"""The authenticator: one failure for all causes, one limiter for all protocols."""

import asyncio
import base64
from collections.abc import Iterator

import pytest

from api.config import ApiConfig
from edge.sign_in.authenticator import Authenticator, AuthenticatorBusy, SignedIn, WrongCredentials
from edge.sign_in.login_client import LoginClient, clean_user_agent
from edge.sign_in.login_limiter import LoginLimits, LoginRateLimited
from edge.sign_in.sasl import Challenge, begin
from mail.directory.passwords import hash_password
from schemas.directory import Domain, User
from stores.memory import MemoryAttempts, MemoryDirectory
from tests.support.edge_world import World
from tests.support.sign_in import authenticator_of

PEER = "192.0.2.1"
ADDRESS, PASSWORD = "alice@example.org", "correct horse"
POSTMASTER = User(user_id="pm", domain_id="d", address="pm@example.org", disabled=False,
                  created_at_ms=0)  # fmt: skip
ALICE = User(user_id="u1", domain_id="d", address=ADDRESS, disabled=False, created_at_ms=0,
             password_hash=hash_password(PASSWORD))  # fmt: skip
SIGNED_IN = SignedIn(user=ALICE)
LIMITS = LoginLimits(per_source=3, sessions=2, connections=3)


def client(protocol: str = "imap", peer: str = PEER) -> LoginClient:
    return LoginClient(protocol=protocol, peer=peer, user_agent="test", device="phone")


@pytest.fixture
async def directory() -> MemoryDirectory:
    directory = MemoryDirectory()
    await directory.add_domain(Domain(domain_id="d", name="example.org", created_at_ms=0),
                               POSTMASTER)  # fmt: skip
    await directory.add_user(ALICE)
    return directory


@pytest.fixture
def authenticator(directory: MemoryDirectory) -> Iterator[Authenticator]:
    authenticator = authenticator_of(directory, MemoryAttempts(), LIMITS)
    yield authenticator
    authenticator.close()


async def outcomes(directory: MemoryDirectory, user_id: str = "u1") -> list[tuple[str, str]]:
    rows = await directory.sign_ins(user_id, limit=9)
    return [(row.outcome, row.device) for row in reversed(rows)]


async def test_the_user_of_an_address_in_any_spelling(authenticator, directory) -> None:
    assert await authenticator.authenticate("Alice@EXAMPLE.org", PASSWORD, client()) == SIGNED_IN
    assert await outcomes(directory) == [("success", "phone")]


@pytest.mark.parametrize("address", [ADDRESS, "bob@example.org", "no address", ""])
async def test_one_failure_for_all_causes(authenticator, directory, address) -> None:
    await directory.set_disabled("u1", disabled=True)
    with pytest.raises(WrongCredentials) as error:
        await authenticator.authenticate(address, PASSWORD, client())
    assert error.value.detail == "address or password is wrong"
    user_id = "u1" if address == ADDRESS else ""
    assert await outcomes(directory, user_id) == [("failure", "")]


async def test_failures_end_in_a_lockout(authenticator, directory) -> None:
    for _ in range(3):
        with pytest.raises(WrongCredentials):
            await authenticator.authenticate(ADDRESS, "wrong", client())
    with pytest.raises(LoginRateLimited):
        await authenticator.authenticate(ADDRESS, PASSWORD, client())
    assert (
        await authenticator.authenticate(ADDRESS, PASSWORD, client(peer="192.0.2.2")) == SIGNED_IN
    )
    expected = [("failure", "")] * 3 + [("lockout", ""), ("success", "phone")]
    assert await outcomes(directory) == expected


async def test_successes_are_limited_for_each_protocol(authenticator) -> None:
    for _ in range(3):
        await authenticator.authenticate(ADDRESS, PASSWORD, client("imap"), scope="read")
    with pytest.raises(LoginRateLimited):
        await authenticator.authenticate(ADDRESS, PASSWORD, client("imap"), scope="read")
    for _ in range(2):
        await authenticator.authenticate(ADDRESS, PASSWORD, client("http"))
    with pytest.raises(LoginRateLimited):
        await authenticator.authenticate(ADDRESS, PASSWORD, client("http"))


@pytest.mark.parametrize("change", ["password", "disabled"])
async def test_a_change_during_the_check_refuses_the_sign_in(
    authenticator, directory, change
) -> None:
    async with authenticator._checks.turn("other"):
        late = asyncio.create_task(authenticator.authenticate(ADDRESS, PASSWORD, client()))
        while not authenticator._checks.waiting:
            await asyncio.sleep(0)
        if change == "password":
            await directory.set_password("u1", "another hash")
        else:
            await directory.set_disabled("u1", disabled=True)
    with pytest.raises(WrongCredentials):
        await late
    assert await outcomes(directory) == []


async def test_a_full_line_counts_no_failure(authenticator, directory) -> None:
    async with authenticator._checks.turn("other"):
        waiting = asyncio.create_task(authenticator.authenticate(ADDRESS, PASSWORD, client()))
        while not authenticator._checks.waiting:
            await asyncio.sleep(0)
        for _ in range(4):
            with pytest.raises(AuthenticatorBusy):
                await authenticator.authenticate(ADDRESS, "wrong", client())
        with pytest.raises(AuthenticatorBusy):
            await authenticator.hash(PASSWORD, client())
    assert await waiting == SIGNED_IN


async def test_a_stolen_session_guesses_no_more_than_a_peer(authenticator) -> None:
    for _ in range(3):
        with pytest.raises(WrongCredentials):
            await authenticator.confirm(ALICE, "wrong", client(), session_sha256="s")
    with pytest.raises(LoginRateLimited):
        await authenticator.confirm(ALICE, PASSWORD, client(), session_sha256="s")
    await authenticator.confirm(ALICE, PASSWORD, client(), session_sha256="another")


def test_a_user_agent_is_printable_and_bounded() -> None:
    assert clean_user_agent("Mail\r\n 1.0\x00é") == "Mail 1.0é"
    assert len(clean_user_agent("x" * 1000)) == 200


async def http_login(world: World, password: str) -> int:
    body = {"address": "alice@postriver.test", "password": password}
    async with world.client().post("/v1/login", json=body) as response:
        return response.status


async def sasl_login(authenticator: Authenticator, password: str) -> SignedIn:
    """An exchange of LOGIN and its check, as a server of another protocol carries them out."""
    step = begin("LOGIN")
    for answer in ("alice@postriver.test", password):
        assert isinstance(step, Challenge)
        step = step.respond(base64.b64encode(answer.encode()))
    assert not isinstance(step, Challenge)
    peer = LoginClient(protocol="submission", peer="127.0.0.1")
    return await authenticator.authenticate(step.address, step.password, peer, scope="send")


async def test_wrong_passwords_by_http_and_by_sasl_add_up() -> None:
    world = World(config=ApiConfig(port=0, login_failures_per_address=3))
    await world.open()
    submission = authenticator_of(world.directory, world.attempts, world.config.sign_ins)
    assert await http_login(world, "wrong") == 401
    for _ in range(2):
        with pytest.raises(WrongCredentials):
            await sasl_login(submission, "wrong")
    with pytest.raises(LoginRateLimited):
        await sasl_login(submission, "correct horse")
    assert await http_login(world, "correct horse") == 429
    submission.close()
    await world.close()

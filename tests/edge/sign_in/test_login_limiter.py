"""Login limits by source, network and address, with the default numbers and fake passwords."""

import pytest

from edge.sign_in.login_limiter import LoginLimiter, LoginLimits, LoginRateLimited
from mail.clock import DAY_MS, now_ms
from mail.ids import new_id
from schemas.directory import SignIn, User
from stores.memory import MemoryAttempts, MemoryDirectory

ADDRESS = "alice@example.org"
ALICE = User(user_id="u1", domain_id="d", address=ADDRESS, disabled=False, created_at_ms=0)
HOME, LAPTOP = "2001:db8:1:2::7", "laptop"


class LoginRig:
    """Sign-in attempts of alice over memory adapters."""

    def __init__(self) -> None:
        self.directory, self.attempts = MemoryDirectory(), MemoryAttempts()
        self.sign_ins = LoginLimiter(self.attempts, self.directory, LoginLimits())

    async def signed_in(self, peer: str, device: str = "", *, days_ago: int = 0) -> None:
        row = SignIn(
            sign_in_id=new_id(), user_id="u1", at_ms=now_ms() - days_ago * DAY_MS,
            outcome="success", peer=peer, user_agent="", device=device,
        )  # fmt: skip
        await self.directory.add_sign_in(row)

    async def attempt(
        self, peer: str, device: str = "", *, wrong: bool = True, address: str = ADDRESS
    ) -> bool:
        """Try to sign in; whether the attempt was admitted."""
        user = ALICE if address == ADDRESS else None
        attempt = await self.sign_ins.attempt_of(
            address, user, protocol="http", peer=peer, device=device
        )
        try:
            await self.sign_ins.admit(attempt)
            async with self.sign_ins.attempt(attempt) as result:
                result.is_wrong = wrong
        except LoginRateLimited:
            return False
        if not wrong:
            await self.sign_ins.succeeded(attempt)
        return True

    async def failures(self, most: int, peer: str, device: str = "") -> int:
        """How many of `most` wrong passwords were admitted."""
        return sum([await self.attempt(peer, device) for _ in range(most)])


@pytest.fixture
def rig() -> LoginRig:
    return LoginRig()


def unknown_peers(count: int) -> list[str]:
    return [f"198.51.{number // 250}.{number % 250}" for number in range(count)]


async def test_a_flood_from_everywhere_does_not_lock_the_owner_out(rig: LoginRig) -> None:
    await rig.signed_in("192.0.2.7")
    await rig.signed_in("192.0.2.8", LAPTOP)
    await rig.signed_in(HOME)
    admitted = sum([await rig.failures(10, peer) for peer in unknown_peers(22)])
    assert admitted == 200, "of 220"
    assert not await rig.attempt("203.0.113.1", wrong=False), "a new place is held to it"
    assert await rig.attempt("192.0.2.7", wrong=False)
    assert await rig.attempt("203.0.113.1", LAPTOP, wrong=False), "the laptop, wherever it is"
    assert await rig.attempt(HOME, wrong=False)
    assert await rig.attempt("2001:db8:1:2::99", wrong=False), "her network, by another address"


async def test_a_stranger_in_the_same_network_does_not_lock_the_owner_out(rig: LoginRig) -> None:
    await rig.signed_in(HOME)
    await rig.signed_in("192.0.2.7", LAPTOP)
    assert await rig.failures(20, "2001:db8:1:2::66") == 10
    assert await rig.attempt(HOME, wrong=False)
    assert await rig.failures(20, "192.0.2.7") == 10, "behind the same address as the laptop"
    assert await rig.attempt("192.0.2.7", LAPTOP, wrong=False)


async def test_a_known_source_may_guess_no_more_than_others(rig: LoginRig) -> None:
    await rig.signed_in("192.0.2.7")
    await rig.signed_in("192.0.2.8", LAPTOP)
    assert await rig.failures(20, "192.0.2.7") == 10
    assert await rig.failures(20, "192.0.2.9", LAPTOP) == 10
    assert await rig.attempt("192.0.2.10", wrong=False), "its failures are its own"


async def test_a_source_is_forgotten_after_90_days(rig: LoginRig) -> None:
    await rig.signed_in("192.0.2.7", days_ago=91)
    await rig.signed_in("192.0.2.8", days_ago=89)
    for peer in unknown_peers(20):
        await rig.failures(10, peer)
    assert not await rig.attempt("192.0.2.7", wrong=False)
    assert await rig.attempt("192.0.2.8", wrong=False)


async def test_a_peer_may_guess_30_times_whatever_the_address(rig: LoginRig) -> None:
    tried = [await rig.attempt("192.0.2.1", address=f"user{n}@example.org") for n in range(40)]
    assert sum(tried) == 30
    assert not await rig.attempt("192.0.2.1", wrong=False)
    assert await rig.attempt("192.0.2.2", wrong=False)


async def test_ipv6_networks_have_limits_that_grow(rig: LoginRig) -> None:
    def inside(bits: int, number: int) -> str:
        return {
            64: f"2001:db8:1:100::{number:x}",
            56: f"2001:db8:1:1{number:02x}::1",
            48: f"2001:db8:1:{number:02x}00::1",
        }[bits]

    for bits, expected in ((64, 10), (56, 20), (48, 40)):
        rig = LoginRig()
        tried = [await rig.attempt(inside(bits, number % 250)) for number in range(100)]
        assert sum(tried) == expected, f"for one address, from one /{bits}"
        rig = LoginRig()
        many = [await rig.attempt(inside(bits, n % 250), address=f"u{n}@x.org") for n in range(200)]
        assert sum(many) == 3 * expected, f"for all addresses, from one /{bits}"
        assert await rig.attempt("2001:db8:2::1", wrong=False), "another site"


async def test_only_a_wrong_password_counts(rig: LoginRig) -> None:
    attempt = await rig.sign_ins.attempt_of(ADDRESS, ALICE, protocol="http", peer="192.0.2.1")
    for _ in range(40):
        with pytest.raises(RuntimeError):
            async with rig.sign_ins.attempt(attempt):
                raise RuntimeError
    assert await rig.failures(20, "192.0.2.1") == 10


async def test_right_ones_are_limited_by_user_and_peer(rig: LoginRig) -> None:
    right = [await rig.attempt("192.0.2.1", wrong=False) for _ in range(25)]
    assert sum(right) == 20
    assert await rig.attempt("192.0.2.2", wrong=False)
    assert await rig.attempt("192.0.2.1", wrong=False, address="bob@example.org")


async def test_what_is_kept_tells_no_address(rig: LoginRig) -> None:
    await rig.attempt("192.0.2.1")
    assert "alice" not in str(rig.attempts._counted)
    assert "192.0" not in str(rig.attempts._counted)

"""The sending limiter: no schedule of mails exceeds a limit, and a refusal names its end."""

import asyncio
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sending_limiter import IN_FLIGHT_MAX_MS, SendingLimiter, SendingRateLimited
from mail.clock import DAY_MS
from mail.sending.own_limits import OwnLimits
from mail.sending.sending_limits import HOUR_MS, MINUTE_MS, SendingLimit, SendingLimits
from schemas.directory import NO_OWN_LIMITS, Domain, OwnSendingLimits, User
from schemas.submissions import RecipientState
from stores.memory.directory import MemoryDirectory
from stores.memory.submissions import MemorySubmissions
from tests.contracts.submissions import submission

ANN = User(user_id="ann", domain_id="d", address="ann@example.org", disabled=False, created_at_ms=0)
BOB = msgspec.structs.replace(ANN, user_id="bob", address="bob@example.org")
LIMITS = SendingLimits(
    minute=SendingLimit(name="minute", period_ms=MINUTE_MS, mails=3, recipients=10),
    hour=SendingLimit(name="hour", period_ms=HOUR_MS, mails=5, recipients=0),
    day=SendingLimit(name="day", period_ms=DAY_MS, mails=7, recipients=40),
)


@dataclass
class World:
    """A limiter, its store and its clock."""

    limits: SendingLimits = LIMITS
    at_ms: int = 10 * DAY_MS
    store: MemorySubmissions = field(default_factory=MemorySubmissions)
    directory: MemoryDirectory = field(default_factory=MemoryDirectory)
    reads: int = 0

    def __post_init__(self) -> None:
        self.limiter = self.limiter_of_a_process()
        self.store.fault = self.counted

    def counted(self, step: str) -> None:
        self.reads += step == "read"

    def limiter_of_a_process(self) -> SendingLimiter:
        return SendingLimiter(self.store, self.own_limits, now_ms=lambda: self.at_ms)

    @property
    def own_limits(self) -> OwnLimits:
        return OwnLimits(self.directory, self.limits)

    async def send(self, name: str, *, recipients: int = 1, user: User = ANN) -> None:
        await self.limiter.admit(user, name, recipients=recipients)
        await self.store_mail(name, recipients=recipients, user=user)

    async def store_mail(self, name: str, *, recipients: int = 1, user: User = ANN) -> None:
        rows = (RecipientState(address="bob@example.net"),) * recipients
        await self.store.put(
            submission(name, user_id=user.user_id, created_at_ms=self.at_ms, recipients=rows)
        )


async def test_the_limit_of_a_minute_ends_within_a_minute() -> None:
    world = World()
    for number in range(3):
        await world.send(f"m{number}")
        world.at_ms += 10_000
    with pytest.raises(SendingRateLimited, match="3 mails and 10 recipients per minute") as refused:
        await world.limiter.check(ANN)
    assert 30 <= refused.value.retry_after_s <= 31  # the first mail was sent 30 s ago
    world.at_ms += refused.value.retry_after_s * 1000
    await world.send("m3")
    await world.send("m0 of bob", user=BOB)


async def test_recipients_of_all_mails_count_together() -> None:
    world = World()
    await world.send("m0", recipients=9)
    with pytest.raises(SendingRateLimited):
        await world.limiter.check(ANN, recipients=2)
    await world.send("m1", recipients=1)


async def test_a_mail_with_more_recipients_than_a_limit_is_never_admitted() -> None:
    world = World()
    assert (await world.limiter.check(ANN)).recipients_max() == 10
    with pytest.raises(SendingRateLimited) as refused:
        await world.limiter.admit(ANN, "m0", recipients=11)
    assert refused.value.retry_after_s == 60


async def test_mails_in_flight_count_until_they_are_stored_or_released() -> None:
    world = World()
    for name in ("m0", "m1", "m2"):
        await world.limiter.admit(ANN, name, recipients=1)
    with pytest.raises(SendingRateLimited):
        await world.limiter.admit(ANN, "m3", recipients=1)
    await world.store_mail("m0")  # counts once, not twice
    world.limiter.release("m1")
    world.limiter.release("m1")
    world.at_ms += MINUTE_MS + 1  # the refusal is forgotten
    for name in ("m3", "m4", "m5"):
        await world.send(name)
    with pytest.raises(SendingRateLimited, match="5 mails per hour"):
        await world.send("m6")


async def test_a_mail_whose_fate_is_unknown_counts_for_an_hour() -> None:
    world = World()
    for number in range(3):
        await world.limiter.admit(ANN, f"m{number}", recipients=1)
    world.at_ms += IN_FLIGHT_MAX_MS + 1
    for number in range(3, 6):
        await world.send(f"m{number}")


async def test_of_concurrent_mails_the_first_are_admitted() -> None:
    world = World()
    outcomes = await asyncio.gather(
        *(world.limiter.admit(ANN, f"m{number}", recipients=1) for number in range(8)),
        return_exceptions=True,
    )
    assert [outcome is None for outcome in outcomes] == [True] * 3 + [False] * 5


async def test_a_repeated_refusal_costs_no_reading() -> None:
    world = World()
    for number in range(3):
        await world.send(f"m{number}")
    with pytest.raises(SendingRateLimited):
        await world.limiter.check(ANN)
    reads = world.reads
    for _ in range(100):
        with pytest.raises(SendingRateLimited):
            await world.limiter.admit(ANN, "m3", recipients=1)
    assert world.reads == reads


async def test_processes_see_what_the_others_stored() -> None:
    world = World()
    for number in range(3):
        await world.send(f"m{number}")
    with pytest.raises(SendingRateLimited):
        await world.limiter_of_a_process().check(ANN)


async def test_only_the_limit_of_a_day_is_reported_and_for_a_day() -> None:
    world = World()
    for number in range(7):
        await world.send(f"m{number}")
        assert world.limiter.warnings() == []
        world.at_ms += HOUR_MS
    with pytest.raises(SendingRateLimited) as refused:
        await world.limiter.check(ANN)
    assert refused.value.limit.name == "day"
    (warning,) = world.limiter.warnings()
    assert warning.startswith("ann@example.org reached the limit of 7 mails and 40 recipients")
    world.at_ms += DAY_MS
    assert world.limiter.warnings() == []


async def test_without_limits_nothing_is_read() -> None:
    none = SendingLimits(
        minute=SendingLimit(name="minute", period_ms=MINUTE_MS, mails=0, recipients=0),
        hour=SendingLimit(name="hour", period_ms=HOUR_MS, mails=0, recipients=0),
        day=SendingLimit(name="day", period_ms=DAY_MS, mails=0, recipients=0),
    )
    world = World(limits=none)
    for number in range(50):
        await world.limiter.admit(ANN, f"m{number}", recipients=100)
    assert world.reads == 0
    assert (await world.limiter.check(ANN)).recipients_max() is None


async def test_the_most_specific_limit_is_in_force_at_once() -> None:
    world = World()
    domain = Domain(domain_id="d", name="example.org", created_at_ms=0)
    own = world.own_limits
    await own.set_for_domain(domain, OwnSendingLimits(mails_per_minute=1, recipients_per_day=50))
    await own.set_for_user(ANN, OwnSendingLimits(mails_per_minute=2, mails_per_hour=0))
    limits = await world.limiter.check(ANN)
    assert (limits.minute.mails, limits.minute.recipients) == (2, 10)
    assert [(each.mails, each.recipients) for each in limits.all] == [(7, 50), (2, 10)]
    for name in ("a", "b"):
        await world.send(name)
    with pytest.raises(SendingRateLimited, match="2 mails and 10 recipients per minute"):
        await world.limiter.check(ANN)
    await world.send("c", user=BOB)
    with pytest.raises(SendingRateLimited, match="1 mails"):
        await world.limiter.check(BOB)
    await own.set_for_domain(domain, NO_OWN_LIMITS)
    await own.set_for_user(ANN, NO_OWN_LIMITS)
    assert await world.directory.settings("") == {}
    world.at_ms += MINUTE_MS
    assert await world.limiter.check(ANN) == await world.limiter.check(BOB) == LIMITS


@given(
    st.lists(
        st.tuples(
            st.integers(0, 40 * MINUTE_MS), st.integers(1, 6), st.sampled_from(["send", "lose"])
        ),
        max_size=40,
    )
)
def test_no_schedule_exceeds_a_limit(schedule) -> None:
    async def run() -> None:
        world = World()
        sent: list[tuple[int, int]] = []
        for number, (wait_ms, recipients, outcome) in enumerate(schedule):
            world.at_ms += wait_ms
            try:
                await world.limiter.admit(ANN, f"m{number:03}", recipients=recipients)
            except SendingRateLimited:
                continue
            if outcome == "lose":
                world.limiter.release(f"m{number:03}")
                continue
            await world.store_mail(f"m{number:03}", recipients=recipients)
            sent.append((world.at_ms, recipients))
            for limit in LIMITS.all:
                last = [each for at_ms, each in sent if at_ms >= world.at_ms - limit.period_ms]
                assert len(last) <= limit.mails
                assert not limit.recipients or sum(last) <= limit.recipients

    asyncio.run(run())

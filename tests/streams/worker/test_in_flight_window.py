"""In-flight window without Faust: order of acknowledgements and of keys, limits, and its end."""

import asyncio
import contextvars
import gc
import random
import weakref

import pytest

from streams.worker.in_flight_window import InFlightEvent, InFlightWindow


class Gates:
    """A window whose events end when the test lets them."""

    def __init__(self, **window) -> None:
        self.fatal: list[BaseException] = []
        self.window = InFlightWindow(on_fatal=self.fatal.append, **window)
        self.gates: list[asyncio.Future[None]] = []
        self.begun: list[int] = []
        self.acked: list[int] = []
        self.alone_of_key: list[bytes] = []

    def feed(self, count: int, key=lambda n: str(n).encode()) -> None:
        for _ in range(count):
            number = len(self.gates)
            self.gates.append(asyncio.get_running_loop().create_future())
            self.window.feed(
                InFlightEvent(
                    key=key(number),
                    size_bytes=10,
                    work=lambda n=number: self.work(n),
                    ack=lambda n=number: self.acked.append(n),
                )
            )

    async def work(self, number: int) -> None:
        self.begun.append(number)
        await self.gates[number]

    async def open(self, *numbers: int) -> None:
        for number in numbers:
            self.gates[number].set_result(None)
        for _ in range(5):
            await asyncio.sleep(0)


async def test_acks_are_in_arrival_order_in_any_order_of_ends() -> None:
    gates = Gates(limit=5, ordered=False)
    gates.feed(5)
    await gates.open(4, 2, 1)
    assert gates.acked == []
    await gates.open(0)
    assert gates.acked == [0, 1, 2]
    await gates.open(3)
    assert gates.acked == [0, 1, 2, 3, 4]


async def test_a_slot_is_free_only_after_the_ack() -> None:
    gates = Gates(limit=2, ordered=False)
    gates.feed(4)
    await gates.open(1)
    assert (gates.begun, gates.window.waiting, gates.window.waiting_bytes) == ([0, 1], 2, 20)
    await gates.open(0)
    assert (gates.begun, gates.window.waiting_bytes) == ([0, 1, 2, 3], 0)


async def test_equal_keys_run_one_after_another_and_others_at_once() -> None:
    gates = Gates(limit=6, ordered=True)
    gates.feed(6, key=lambda n: b"even" if n % 2 == 0 else b"odd")
    await asyncio.sleep(0)
    assert gates.begun == [0, 1]
    await gates.open(1)
    assert gates.begun == [0, 1, 3]
    await gates.open(0, 3)
    assert sorted(gates.begun) == [0, 1, 2, 3, 5]
    assert gates.acked == [0, 1]


async def test_a_closed_window_cancels_and_never_acks() -> None:
    gates = Gates(limit=2, ordered=True)
    gates.feed(3, key=lambda _: b"same")
    await asyncio.sleep(0)
    ending = gates.window.close()
    gates.gates[0].cancel()
    await asyncio.wait(ending)
    gates.feed(1)
    await asyncio.sleep(0)
    assert (gates.acked, gates.begun, gates.fatal) == ([], [0], [])
    assert gates.window.running == gates.window.waiting == 0


@pytest.mark.parametrize("failing", [0, 2])
async def test_a_failure_is_fatal_at_once_and_acks_no_more(failing) -> None:
    gates = Gates(limit=3, ordered=False)
    gates.feed(3)
    await asyncio.sleep(0)
    gates.gates[failing].set_exception(ValueError("no one knows"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert [str(each) for each in gates.fatal] == ["no one knows"]
    assert gates.window.closed
    assert gates.acked == []


async def test_a_cancelled_task_of_an_open_window_is_fatal_and_is_not_acked() -> None:
    gates = Gates(limit=3, ordered=False)
    gates.feed(3)
    await asyncio.sleep(0)
    gates.gates[0].cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    for gate in gates.gates[1:]:
        if not gate.done():
            gate.set_result(None)
    for _ in range(5):
        await asyncio.sleep(0)
    assert [type(each) for each in gates.fatal] == [asyncio.CancelledError]
    assert gates.window.closed
    assert gates.acked == []


async def test_an_error_of_a_task_that_a_revoke_cancels_is_not_reported() -> None:
    fatal: list[BaseException] = []
    acked: list[int] = []
    window = InFlightWindow(limit=3, ordered=False, on_fatal=fatal.append)

    async def spoiled_by_its_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("raised while it was cancelled")

    for work in (spoiled_by_its_end, asyncio.Event().wait, lambda: asyncio.sleep(0)):
        window.feed(InFlightEvent(key=b"", size_bytes=1, work=work, ack=lambda: acked.append(1)))
    await asyncio.sleep(0)
    ending = window.close()
    await asyncio.wait(ending)
    await asyncio.sleep(0)
    assert (fatal, acked) == ([], [])
    assert [str(task.exception()) for task in ending if not task.cancelled()] == [
        "raised while it was cancelled"
    ]


async def test_each_handler_runs_in_the_context_of_its_own_arrival() -> None:
    here, seen = contextvars.ContextVar("here"), []
    window = InFlightWindow(limit=1, ordered=False, on_fatal=lambda _: None)

    async def look() -> None:
        seen.append(here.get())

    for number in range(4):
        here.set(number)
        window.feed(InFlightEvent(key=b"", size_bytes=1, work=look, ack=lambda: None))
    while window.running:
        await asyncio.sleep(0)
    assert seen == [0, 1, 2, 3]


class _Held:
    """An object whose lifetime a test observes."""


@pytest.mark.parametrize("ordered", [False, True])
async def test_the_context_of_an_acknowledged_event_is_released(ordered) -> None:
    """The context of an arrival refers to the event, and so to a whole mail."""
    here: contextvars.ContextVar[_Held | None] = contextvars.ContextVar("here")
    window = InFlightWindow(limit=4, ordered=ordered, on_fatal=lambda _: None)
    kept = []
    for number in range(8):
        held = _Held()
        kept.append(weakref.ref(held))
        here.set(held)
        window.feed(
            InFlightEvent(
                key=b"%d" % number, size_bytes=1, work=lambda: asyncio.sleep(0), ack=lambda: None
            )
        )
    here.set(None)
    del held
    while window.running:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert [ref() for ref in kept] == [None] * 8


async def test_any_order_of_ends_gives_one_order_of_acks() -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    gates = Gates(limit=7, ordered=True)
    gates.feed(200, key=lambda n: str(n % 5).encode())
    while len(gates.acked) < 200:
        await asyncio.sleep(0)
        ready = [n for n in gates.begun if not gates.gates[n].done()]
        if ready:
            await gates.open(chance.choice(ready))
        assert len([n for n in gates.begun if n not in gates.acked]) <= 7, f"seed {seed}"
    assert gates.acked == list(range(200)), f"seed {seed}"
    for key in range(5):
        of_key = [n for n in gates.begun if n % 5 == key]
        assert of_key == sorted(of_key), f"seed {seed}"


async def test_the_age_is_that_of_the_oldest_unacknowledged_event() -> None:
    gates = Gates(limit=2, ordered=False)
    assert gates.window.oldest_s == 0.0
    gates.feed(1)
    await asyncio.sleep(0.2)
    gates.feed(1)
    assert 0.2 <= gates.window.oldest_s < 60.0
    await gates.open(0)
    age_s = gates.window.oldest_s
    await asyncio.sleep(0.2)
    assert 0.2 <= gates.window.oldest_s - age_s < 60.0
    await gates.open(1)
    assert gates.window.oldest_s == 0.0


async def test_waiting_bytes_are_those_of_events_that_have_not_begun() -> None:
    gates = Gates(limit=1, ordered=False)
    gates.feed(3)
    assert gates.window.waiting_bytes == 20
    await gates.open(0)
    assert gates.window.waiting_bytes == 10
    gates.window.close()
    assert gates.window.waiting_bytes == 0


async def test_followers_are_the_waiting_events_of_the_same_key() -> None:
    window = InFlightWindow(limit=5, ordered=True, on_fatal=lambda _: None)
    entries, begun = [], []
    gate = asyncio.Event()

    async def work(number: int) -> None:
        begun.append(number)
        await gate.wait()

    for number, key in enumerate((b"a", b"b", b"a", b"a", b"a", b"a")):
        entry = InFlightEvent(
            key=key, size_bytes=1, work=lambda n=number: work(n), ack=lambda: None
        )
        entries.append(entry)
        window.feed(entry)
    await asyncio.sleep(0)
    assert window.followers(entries[0]) == [entries[2], entries[3], entries[4]]
    assert window.followers(entries[1]) == []
    entries[3].alone = True
    assert window.followers(entries[0]) == [entries[2]]
    assert window.followers(entries[3]) == []
    entries[2].is_done = True
    gate.set()
    while window.running:
        await asyncio.sleep(0)
    assert begun == [0, 1, 3, 4, 5], "an event that was handled together is not handled again"

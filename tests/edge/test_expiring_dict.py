"""The expiring dictionary: entries end by time and by number."""

from edge.expiring_dict import ExpiringDict


def made(clock: list[float], *, keep_s: float = 10.0, entries_max: int = 3) -> ExpiringDict:
    return ExpiringDict(keep_s=keep_s, entries_max=entries_max, clock=lambda: clock[0])


def test_an_entry_expires_after_its_time_however_often_it_is_read() -> None:
    clock = [0.0]
    entries = made(clock)
    entries.set("a", 1)
    clock[0] = 6.0
    assert entries.get("a") == 1
    clock[0] = 9.9
    assert entries.get("a") == 1
    clock[0] = 10.0
    assert entries.get("a") is None
    assert len(entries) == 0


def test_an_entry_that_is_set_again_begins_again() -> None:
    clock = [0.0]
    entries = made(clock)
    entries.set("a", 1)
    clock[0] = 6.0
    entries.set("a", 2)
    clock[0] = 15.0
    assert entries.get("a") == 2


def test_beyond_the_limit_the_oldest_is_dropped() -> None:
    entries = made([0.0])
    for number in range(1000):
        entries.set(number, number)
    assert [entries.get(number) for number in range(996, 1000)] == [None, 997, 998, 999]
    assert len(entries) == 3


def test_nothing_is_kept_for_no_time() -> None:
    entries = made([0.0], keep_s=0.0)
    entries.set("a", 1)
    assert entries.get("a") is None

"""Rows that are sorted by files come in order, as often as they are read, and leave no file."""

import random
import tracemalloc

import pytest

from stores.sorted_rows import FAN_IN, SortedRows

Row = tuple[tuple[str, int], bytes | None]


@pytest.mark.parametrize("number", [0, 1, 9, 10, 11, 10 * FAN_IN, 10 * FAN_IN**2 + 7])
def test_rows_come_in_order_more_than_once(number: int) -> None:
    numbers = list(range(number))
    random.Random(number).shuffle(numbers)
    with SortedRows[tuple[str, int], bytes | None](Row, run_max=10) as rows:
        for each in numbers:
            rows.add((f"{each % 3}", each), b"x" * each if each % 2 else None)
        expected = sorted(((f"{n % 3}", n), b"x" * n if n % 2 else None) for n in numbers)
        assert list(rows) == list(rows) == expected


def test_rows_with_equal_keys_all_come() -> None:
    with SortedRows[int, str](tuple[int, str], run_max=3) as rows:
        for each in range(20):
            rows.add(7, str(each))
        assert sorted(rows) == sorted((7, str(each)) for each in range(20))


def test_memory_does_not_grow_with_the_rows() -> None:
    def peak(number: int) -> int:
        tracemalloc.start()
        with SortedRows[int, str](tuple[int, str], run_max=200) as rows:
            for each in range(number):
                rows.add(each * 7919 % number, "x" * 500)
            assert sum(1 for _ in rows) == number
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak_bytes

    assert peak(50_000) < 2 * peak(5_000)

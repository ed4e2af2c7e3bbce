"""Pages of lists in memory, whose rows are all at hand."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mail.pagination import ListPosition, ListStart, PagePart, check_position

T = TypeVar("T")


def page_rows(
    rows: Sequence[T], part: PagePart[Any], total: int, position_of: Callable[[T], ListPosition]
) -> tuple[list[T], ListStart, ListPosition | None]:
    """The page of `rows`, its start, and where the list goes on. Raises Refused: its position.

    `total`: rows of the list without a filter.
    """
    if part.position is None:
        shown, end = _rows_from(rows, part.start, part.limit, position_of)
        return shown, part.start, end
    check_position(part.position, total, is_filtered=part.is_filtered)
    return _rows_at(rows, part.position, part.limit, position_of)


def _rows_from(
    rows: Sequence[T], start: ListStart, limit: int, position_of: Callable[[T], ListPosition]
) -> tuple[list[T], ListPosition | None]:
    """The page of `rows`, newest first, and where they go on in the direction of reading."""
    before = start.before
    if before is not None and start.is_newer:
        newer = [row for row in rows if position_of(row) > before]
        shown = newer[-limit:]
        return shown, position_of(shown[0]) if len(newer) > limit else None
    older = [row for row in rows if before is None or position_of(row) < before]
    shown = older[:limit]
    return shown, position_of(shown[-1]) if len(older) > limit else None


def _rows_at(
    rows: Sequence[T], position: int, limit: int, position_of: Callable[[T], ListPosition]
) -> tuple[list[T], ListStart, ListPosition | None]:
    """The page from a position on, its start, and where the list goes on."""
    shown = list(rows[position : position + limit])
    end = position_of(shown[-1]) if len(rows) > position + limit else None
    start = ListStart(position_of(shown[0]) if position and shown else None)
    return shown, start, end

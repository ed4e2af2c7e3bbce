"""Cursors of the lists of the admin API."""

from api.config import ApiConfig
from api.rest.parameters import bad_cursor, cursor_of
from mail.errors import Refused
from mail.pagination import ListPosition, decode_cursor


def position_of_cursor(
    values: dict[str, str], config: ApiConfig, *scope: str
) -> ListPosition | None:
    """The position that the cursor of the list `scope` names; None: the beginning.

    Raises Problem 400: a cursor of another list.
    """
    cursor = cursor_of(values, config)
    try:
        return decode_cursor(cursor, *scope) if cursor is not None else None
    except Refused as error:
        raise bad_cursor() from error

"""Write check: asks, before each statement, whether this process may still write."""

from collections.abc import Callable

WriteCheck = Callable[[], None]  # raises an error if the statement must not be sent


def always_writable() -> None:
    """The check of a process whose writes need no permission."""

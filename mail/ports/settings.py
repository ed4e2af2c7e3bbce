"""Settings of the installation that the service itself writes."""

from typing import Protocol


class Settings(Protocol):
    """Named strings, such as the epoch of a topic (`epoch:NAME`)."""

    async def setting(self, name: str) -> str | None:
        """Return the value; None if `name` is not set."""
        ...

    async def settings(self, prefix: str) -> dict[str, str]:
        """Return all settings whose names begin with `prefix`, by name."""
        ...

    async def set_setting(self, name: str, value: str) -> None:
        """Set `name`; the last value stays."""
        ...

    async def exchange_setting(self, name: str, before: str | None, after: str) -> bool:
        """Set `name` to `after` if its value is `before`, None: if it is not set.

        Returns whether this call did it; of calls at the same time with one `before`, one does.
        """
        ...

    async def remove_setting(self, name: str) -> None:
        """Remove `name`; no error if it is not set."""
        ...

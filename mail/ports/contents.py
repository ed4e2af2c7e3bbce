"""Raw mails, who needs them, and those that must not be delivered."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from schemas.content import Stored
from schemas.records import (
    Holder,
    Quarantined,
)


class ContentStore(Protocol):
    """Raw mails, byte for byte."""

    async def put(self, mail_id: str, content: bytes) -> Stored:
        """Return once durable; the same id again changes nothing."""
        ...

    async def get(self, ref: str) -> bytes:
        """ContentMissing when nothing is there."""
        ...

    async def delete(self, ref: str) -> None:
        """Absent already: no error."""
        ...

    async def older(
        self, *, before_ms: int, place: str | None, limit: int
    ) -> tuple[list[str], str | None]:
        """References of contents whose mail is older, and where to go on; None after the last.

        Looks at `limit` contents at most, so it may give fewer, or none. A walk from None to None
        gives all that were there from its beginning to its end; the time is that in the mail id
        (UUIDv7), else of the `put`.
        """
        ...

    async def absent(self, refs: Iterable[str]) -> list[str]:
        """Those of `refs` that lead nowhere, without reading the others."""
        ...


class Holders(Protocol):
    """Who still needs a content."""

    async def hold(self, holders: Iterable[Holder]) -> None: ...

    async def of(self, mail_id: str) -> list[Holder]: ...

    async def held(self, mail_ids: Sequence[str]) -> set[str]:
        """Those of `mail_ids` that anybody holds."""
        ...

    async def release(self, mail_id: str, holder: str) -> None:
        """Not held: no error."""
        ...

    async def release_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        """`release` for each mail id and holder, written together."""
        ...


class Quarantine(Protocol):
    """Mail that was accepted and must not be delivered."""

    async def put(self, row: Quarantined) -> None:
        """Keyed by mail id; the first one stays."""
        ...

    async def get(self, mail_id: str) -> Quarantined | None: ...

    async def get_many(self, mail_ids: Iterable[str]) -> list[Quarantined]:
        """The rows that there are, deleted ones too, in no order."""
        ...

    async def list(
        self, *, limit: int, before: str | None = None, reason: str | None = None
    ) -> list[Quarantined]:
        """Newest mail id first, without deleted ones; `before` is a mail id. 1 <= limit <= 500."""
        ...

    async def release(self, mail_id: str, *, by: str, at_ms: int) -> None:
        """Remember who released it and when; the first one stays. NotFound: no row, or deleted."""
        ...

    async def delete(self, mail_id: str, *, by: str, at_ms: int) -> None:
        """Forget what the mail said; that there was one stays. NotFound: no row, or deleted."""
        ...

"""Raw mails, who needs them, and those that must not be delivered."""

import builtins
from collections.abc import Iterable, Sequence
from typing import Protocol

from schemas.content import Lease, Stored
from schemas.holders import Holder
from schemas.quarantine import Quarantined


class ContentStore(Protocol):
    """Raw mails, byte for byte."""

    async def put(self, mail_id: str, content: bytes) -> Stored:
        """Return once durable; the same id again changes nothing."""
        ...

    async def get(self, ref: str) -> bytes:
        """ContentMissing when nothing is there."""
        ...

    async def part(self, ref: str, *, start: int, size_bytes: int) -> bytes:
        """`size_bytes` octets from `start` on (0: the first), fewer at the end. ContentMissing."""
        ...

    async def missing(self, refs: Iterable[str]) -> list[str]:
        """Those of `refs` that lead nowhere, without reading the others."""
        ...


class ContentSweep(Protocol):
    """The only way to delete contents: a count of turns without a holder, and leases against it.

    Implemented by the content store itself. A `put` of a counted content ends its count.
    """

    async def walk(self, *, place: str | None, limit: int) -> tuple[list[str], str | None]:
        """At most `limit` references and where to go on; None after the last.

        A walk from None to None gives every content that was there from its beginning to its end.
        A page may be empty.
        """
        ...

    async def loose(self, *, after: str, limit: int) -> list[str]:
        """References that have a count, in ascending order, those after `after` ("": all)."""
        ...

    async def sweep(
        self, *, loose: Sequence[str], held: Sequence[str] = (), turns: int
    ) -> list[str]:
        """Count one more turn for each of `loose`, end the count of `held`; one transaction.

        Deletes those of `loose` whose count has reached `turns`, and returns them. While there is a
        lease nothing is counted and nothing is deleted. Each of `loose` once.
        """
        ...

    async def take_lease(self, lease_id: str, purpose: str) -> None:
        """From its return on nothing is deleted until the lease ends. The same id again: no change.

        `purpose`: at most a line, for operators.
        """
        ...

    async def renew_lease(self, lease_id: str) -> bool:
        """Count one beat. False: the lease has ended, and contents may have been deleted since."""
        ...

    async def end_lease(self, lease_id: str) -> None:
        """No such lease: no error."""
        ...

    async def leases(self) -> list[Lease]:
        """All leases, the oldest id first."""
        ...


class Holders(Protocol):
    """Who still needs a content."""

    async def hold(self, holders: Iterable[Holder]) -> None: ...

    async def list(self, mail_id: str) -> list[Holder]: ...

    async def any_held(self, mail_ids: Sequence[str]) -> set[str]:
        """Those of `mail_ids` that anybody holds."""
        ...

    async def held_by(self, holder: str, *, after: str, limit: int) -> builtins.list[Holder]:
        """Mails that this one holds, by ascending mail id, those after `after` ("": all).

        Quick for QUARANTINE_HOLDER and DEAD_LETTERS_HOLDER alone.
        """
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
        """Remember who released it and when; the first one stays. NotFound: no row, or deleted.

        It is `unpublished` from now on, at a repeated release too.
        """
        ...

    async def mark_published(self, mail_id: str) -> None:
        """The release is in the river. No row, or deleted: no error."""
        ...

    async def list_unpublished(self, *, limit: int) -> builtins.list[Quarantined]:
        """Released mails whose `published` was not called since, lowest mail id first."""
        ...

    async def delete(self, mail_id: str, *, by: str, at_ms: int) -> None:
        """Forget what the mail said; that there was one stays. NotFound: no row, or deleted."""
        ...

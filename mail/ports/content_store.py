"""Contents of mails, their holders, and the quarantine."""

import builtins
from collections.abc import Iterable, Sequence
from typing import Protocol

from schemas.content import Lease, PackingCounts, Stored
from schemas.holders import Holder
from schemas.ids import MailId
from schemas.quarantine import Quarantined


class ContentStore(Protocol):
    """Contents of mails, byte for byte."""

    async def put(self, mail_id: MailId, content: bytes) -> Stored:
        """Return once `content` is durable; the same id again changes nothing."""
        ...

    async def get(self, ref: str) -> bytes:
        """Raises ContentMissing."""
        ...

    async def read(self, ref: str, *, start: int, size_bytes: int) -> bytes:
        """Return `size_bytes` octets from `start` (0: the first), fewer at the end.

        Reads about as much as it returns of a large content. Raises as `get`; ValueError: `start`
        or `size_bytes` is negative.
        """
        ...

    async def missing(self, refs: Iterable[str]) -> list[str]:
        """Return those of `refs` that have no content, or lost it; contents are not read."""
        ...


class ContentSweep(Protocol):
    """Deletion of contents that had no holder in many consecutive rounds; a lease suspends it.

    The only way to delete contents; implemented by the content store itself. A `put` of a counted
    content ends its count.
    """

    async def walk(self, *, place: str | None, limit: int) -> tuple[list[MailId], str | None]:
        """Return at most `limit` references and the next `place`; None after the last.

        A complete walk has every content that exists from its first call to its last.
        A page may be empty.
        """
        ...

    async def loose(self, *, after: str, limit: int) -> list[MailId]:
        """Return references that have a count, ascending, those after `after` ("": all)."""
        ...

    async def sweep(
        self, *, loose: Sequence[str], held: Sequence[str] = (), turns: int
    ) -> list[str]:
        """Count one more round for each of `loose`, end the count of `held`; one transaction.

        Deletes those of `loose` whose count has reached `turns`, and returns them. Under a lease
        no round is counted and no content is deleted. `loose` has each reference once.
        """
        ...

    async def take_lease(self, lease_id: str, purpose: str) -> None:
        """Suspend deletion from the return of this call until the lease ends.

        The same id again changes nothing. `purpose`: at most one line, for operators.
        """
        ...

    async def renew_lease(self, lease_id: str) -> bool:
        """Renew the lease; False: it has ended, and contents may have been deleted since."""
        ...

    async def end_lease(self, lease_id: str) -> None:
        """End the lease; no error if there is no such lease."""
        ...

    async def leases(self) -> list[Lease]:
        """Return all leases, the oldest id first."""
        ...


class ContentPacking(Protocol):
    """Moves of small contents into segments, in a profile that has them.

    Contents can be read, put, counted and deleted all the time.
    """

    async def turn(self) -> None:
        """Move what is due. May be called at any time and by several processes at once."""
        ...

    def counts(self) -> PackingCounts: ...


class Holders(Protocol):
    """Named reasons to keep a content.

    A holder is held or released, and `released` is final: holding it again changes nothing, and a
    release that comes before the hold wins over that hold. So the result does not depend on the
    order of writes, and neither a late nor a repeated write changes it. Reads return held holders.
    """

    async def hold(self, holders: Iterable[Holder]) -> None:
        """Hold each one unless it was released; all or none. The first `ref` stays."""
        ...

    async def list(self, mail_id: MailId) -> list[Holder]:
        """Return the holders of a mail by name."""
        ...

    async def any_held(self, mail_ids: Sequence[MailId]) -> set[str]:
        """Return those of `mail_ids` that have a holder."""
        ...

    async def held_by(
        self, kind: str, *, after: tuple[str, str] = ("", ""), limit: int
    ) -> builtins.list[Holder]:
        """Return holders of a kind by ascending (mail id, name), those after `after`.

        Fast for QUARANTINE_HOLDER, DEAD_LETTERS_HOLDER and DEPOSIT_HOLDER only.
        """
        ...

    async def release(self, mail_id: MailId, holder: str) -> None:
        """Release a holder for good, whether or not it was held before."""
        ...

    async def release_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Release each (mail id, holder) in one write."""
        ...

    async def forget_released(self, mail_ids: Sequence[str]) -> None:
        """Delete the released holders of mails whose content was deleted, no others.

        For the content sweep only. A hold that arrives later would hold again.
        """
        ...


class Quarantine(Protocol):
    """Accepted mail that must not be delivered."""

    async def put(self, row: Quarantined) -> None:
        """Add a row, keyed by mail id; the first row of a mail stays."""
        ...

    async def get(self, mail_id: MailId) -> Quarantined | None: ...

    async def get_many(self, mail_ids: Iterable[MailId]) -> list[Quarantined]:
        """Return the rows that exist, also if deleted, in no order."""
        ...

    async def list(
        self, *, limit: int, before: str | None = None, reason: str | None = None
    ) -> list[Quarantined]:
        """Return rows that are not deleted, newest mail id first; `before` is a mail id.

        1 <= limit <= 500.
        """
        ...

    async def release(self, mail_id: MailId, *, by: str, at_ms: int) -> None:
        """Record who released the mail and when; the first release stays.

        Sets `unpublished`, also at a repeated release. Raises NotFound: no row, or deleted.
        """
        ...

    async def mark_published(self, mail_id: MailId) -> None:
        """Clear `unpublished`: the released mail is in the log. No error if there is no row."""
        ...

    async def list_unpublished(self, *, limit: int) -> builtins.list[Quarantined]:
        """Return released mails that may not be in the log yet, lowest mail id first."""
        ...

    async def delete(self, mail_id: MailId, *, by: str, at_ms: int) -> None:
        """Drop envelope and header; the row stays. Raises NotFound: no row, or deleted."""
        ...

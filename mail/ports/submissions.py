"""Submissions: rows of the mails that users send."""

import builtins
from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from mail.errors import Transient
from schemas.ids import SubmissionId, UserId
from schemas.submissions import Submission


class SubmissionChanged(Transient):
    """Another writer changed the row since it was read: read it again."""

    def __init__(self, submission_id: SubmissionId) -> None:
        super().__init__("submissions", f"{submission_id} was changed by another writer")


class SendingVolume(msgspec.Struct, frozen=True):
    """Mails and recipients that a user submitted in a period."""

    mails: int = 0
    recipients: int = 0


SettledPlace = tuple[int, SubmissionId]  # when a row became final, and its id
FIRST: SettledPlace = (0, SubmissionId(""))


class Submissions(Protocol):
    """Rows of submissions, each written by the owner of its user's partition."""

    async def put(self, row: Submission) -> None:
        """Write the row, and with version 1 its idempotency key; atomic.

        The same row again changes nothing. A key that the user used before is moved to this row.
        Raises SubmissionChanged: the stored version is not the one before `row.version`.
        """
        ...

    async def get(self, submission_id: SubmissionId) -> Submission | None: ...

    async def by_key(self, user_id: UserId, idempotency_key: str) -> Submission | None:
        """Return the submission that used the key last."""
        ...

    async def list(
        self, user_id: UserId, *, before: SubmissionId | None = None, limit: int
    ) -> builtins.list[Submission]:
        """Return the user's rows, newest id first, those before `before`. 1 <= limit <= 500."""
        ...

    async def held(
        self, partitions: Collection[int], *, until_ms: int, limit: int
    ) -> builtins.list[Submission]:
        """Return held rows of `partitions` with `fire_at_ms` up to `until_ms`, earliest first.

        The cost does not grow with the number of other rows.
        """
        ...

    async def volume(self, user_id: UserId, *, since_ms: int) -> SendingVolume:
        """Return what the user submitted since then; canceled submissions count too.

        What was submitted more than 14 days ago may be left out.
        """
        ...

    async def walk(self, *, after: SubmissionId, limit: int) -> builtins.list[Submission]:
        """Return rows of all users by ascending id, those after `after`. 1 <= limit <= 500.

        Ids begin with the time of the submission (UUIDv7).
        """
        ...

    async def settled(
        self, *, after: SettledPlace = FIRST, before_ms: int, limit: int
    ) -> builtins.list[Submission]:
        """Return rows that became final before then, unless `set_released`.

        Earliest first, those behind the place `after`. 1 <= limit <= 500.
        """
        ...

    async def set_released(self, submission_ids: Sequence[SubmissionId]) -> None:
        """Record that the rows' contents are no longer held."""
        ...

    async def delete_released(self, *, before_ms: int, limit: int) -> int:
        """Delete at most `limit` released rows that became final before then, and their keys.

        Returns the number of rows. 1 <= limit <= 500.
        """
        ...

"""Recipients that mails of users did not reach, from the rows of submissions."""

from collections.abc import AsyncIterator

import msgspec

from mail.ids import first_id_at
from mail.ports.submissions import Submissions
from schemas.ids import SubmissionId, UserId
from schemas.submissions import FAILED

PAGE = 500


class RejectedRecipient(msgspec.Struct, frozen=True, kw_only=True):
    """A recipient with the status `failed`, and why."""

    submission_id: SubmissionId
    user_id: UserId
    sender: str  # reverse-path
    address: str
    code: str
    detail: str
    server: str
    failed_at_ms: int


async def rejected(
    submissions: Submissions, *, since_ms: int, limit: int
) -> list[RejectedRecipient]:
    """Return the first `limit` failed recipients of mails submitted since then, oldest first."""
    found: list[RejectedRecipient] = []
    async for recipient in _failed(submissions, since_ms):
        found.append(recipient)
        if len(found) == limit:
            break
    return found


async def _failed(submissions: Submissions, since_ms: int) -> AsyncIterator[RejectedRecipient]:
    after = SubmissionId(first_id_at(since_ms))
    while rows := await submissions.walk(after=after, limit=PAGE):
        for row in rows:
            for each in row.recipients:
                if each.status == FAILED:
                    yield RejectedRecipient(
                        submission_id=row.submission_id,
                        user_id=row.user_id,
                        sender=row.mail.reverse_path,
                        address=each.address,
                        code=each.code,
                        detail=each.detail,
                        server=each.server,
                        failed_at_ms=each.changed_at_ms,
                    )
        after = rows[-1].submission_id

"""What every Submissions does. Inherit, give a `submissions` fixture: the adapter is held to it."""

import msgspec
import pytest

from mail.errors import Refused
from mail.ports.submissions import SendingVolume, SubmissionChanged
from schemas.content import Stored
from schemas.submissions import (
    CANCELED,
    HELD,
    QUEUED,
    SENT,
    RecipientState,
    RequestedRecipient,
    Submission,
    SubmittedMail,
)

EVERY = range(12)


def submission(name: str, *, user_id: str = "ann", **fields) -> Submission:
    plain = {
        "submission_id": name,
        "user_id": user_id,
        "domain_id": "d1",
        "message_id": f"message of {name}",
        "mail": SubmittedMail(
            mail_id=name,
            reverse_path="ann@example.org",
            recipients=(RequestedRecipient(address="bob@example.net"),),
            content=Stored(name, 10, "0" * 64),
        ),
        "status": QUEUED,
        "recipients": (RecipientState(address="bob@example.net"),),
        "created_at_ms": 1_000,
        "partition": 3,
    }
    return Submission(**(plain | fields))


def after(row: Submission, at_ms: int = 0, **fields) -> Submission:
    recipients = tuple(
        msgspec.structs.replace(each, changed_at_ms=at_ms) for each in row.recipients
    )
    return msgspec.structs.replace(
        row, version=row.version + 1, **({"recipients": recipients} | fields)
    )


def ids(rows) -> list[str]:
    return [row.submission_id for row in rows]


class SubmissionsContract:
    async def test_an_empty_one(self, submissions):
        assert await submissions.get("s1") is None
        assert await submissions.by_key("ann", "k") is None
        assert await submissions.list("ann", limit=9) == []
        assert await submissions.volume("ann", since_ms=0) == SendingVolume()

    async def test_a_row_comes_back_whole_and_may_be_put_again(self, submissions):
        row = submission("s1")
        await submissions.put(row)
        await submissions.put(row)
        assert await submissions.get("s1") == row

    async def test_a_row_follows_the_version_before_it(self, submissions):
        row = submission("s1")
        await submissions.put(row)
        second = after(row, status=SENT)
        await submissions.put(second)
        await submissions.put(second)
        assert await submissions.get("s1") == second
        for late in (row, after(row), after(after(second))):
            with pytest.raises(SubmissionChanged):
                await submissions.put(late)
        with pytest.raises(SubmissionChanged):
            await submissions.put(after(submission("s2")))
        assert await submissions.get("s1") == second
        assert await submissions.get("s2") is None

    async def test_a_key_leads_to_the_row_that_used_it_last(self, submissions):
        first = submission("s1", idempotency_key="k")
        await submissions.put(first)
        await submissions.put(submission("s2", user_id="bob", idempotency_key="k"))
        await submissions.put(submission("s3"))
        assert await submissions.by_key("ann", "k") == first
        assert await submissions.by_key("ann", "") is None
        again = submission("s4", idempotency_key="k")
        await submissions.put(again)
        await submissions.put(after(first))
        assert await submissions.by_key("ann", "k") == again

    async def test_a_users_list_is_newest_first_by_pages(self, submissions):
        for number in (3, 1, 2):
            await submissions.put(submission(f"s{number}"))
        await submissions.put(submission("s9", user_id="bob"))
        assert ids(await submissions.list("ann", limit=2)) == ["s3", "s2"]
        assert ids(await submissions.list("ann", before="s2", limit=2)) == ["s1"]

    async def test_held_rows_are_due_by_partition_and_time(self, submissions):
        for number, partition in enumerate((3, 3, 4, 5)):
            row = submission(
                f"s{number}", status=HELD, fire_at_ms=100 - number, partition=partition
            )
            await submissions.put(row)
        await submissions.put(submission("s8"))
        assert ids(await submissions.held((3, 4), until_ms=99, limit=9)) == ["s2", "s1"]
        assert ids(await submissions.held(EVERY, until_ms=100, limit=2)) == ["s3", "s2"]
        fired = await submissions.get("s1")
        await submissions.put(after(fired, status=QUEUED))
        assert ids(await submissions.held((3,), until_ms=100, limit=9)) == ["s0"]
        assert await submissions.held((), until_ms=100, limit=9) == []

    async def test_volume_counts_mails_and_recipients_since_a_time(self, submissions):
        two = tuple(RecipientState(address=f"{name}@example.net") for name in "xy")
        await submissions.put(submission("s1", created_at_ms=10, recipients=two))
        await submissions.put(submission("s2", created_at_ms=20, status=CANCELED))
        await submissions.put(submission("s3", created_at_ms=20, user_id="bob"))
        assert await submissions.volume("ann", since_ms=10) == SendingVolume(2, 3)
        assert await submissions.volume("ann", since_ms=11) == SendingVolume(1, 1)

    async def test_a_walk_has_every_row_by_id(self, submissions):
        for number, status in enumerate((QUEUED, SENT, HELD, CANCELED, QUEUED)):
            row = submission(f"s{number}", user_id=f"u{number}", status=status, fire_at_ms=9)
            await submissions.put(row)
        assert ids(await submissions.walk(after="", limit=2)) == ["s0", "s1"]
        assert ids(await submissions.walk(after="s1", limit=9)) == ["s2", "s3", "s4"]

    async def test_a_settled_row_is_released_then_deleted_with_its_key(self, submissions):
        for number in range(4):
            row = submission(f"s{number}", idempotency_key=f"k{number}")
            await submissions.put(row)
            if number:
                await submissions.put(after(row, at_ms=40 - number, status=SENT))
        assert ids(await submissions.settled(before_ms=40, limit=2)) == ["s3", "s2"]
        assert ids(await submissions.settled(before_ms=38, limit=9)) == ["s3"]
        assert ids(await submissions.settled(after=(37, "s3"), before_ms=99, limit=9)) == [
            "s2", "s1",
        ]  # fmt: skip
        assert await submissions.delete_released(before_ms=99, limit=9) == 0
        await submissions.set_released(["s3", "s1"])
        assert ids(await submissions.settled(before_ms=99, limit=9)) == ["s2"]
        assert await submissions.delete_released(before_ms=38, limit=9) == 1
        assert await submissions.delete_released(before_ms=99, limit=9) == 1
        assert ids(await submissions.list("ann", limit=9)) == ["s2", "s0"]
        assert await submissions.by_key("ann", "k3") is None
        assert await submissions.by_key("ann", "k2") is not None

    @pytest.mark.parametrize("limit", [0, 501])
    async def test_a_page_has_1_to_500_rows(self, submissions, limit):
        for page in (
            submissions.list("ann", limit=limit),
            submissions.held(EVERY, until_ms=1, limit=limit),
            submissions.walk(after="", limit=limit),
            submissions.settled(before_ms=1, limit=limit),
            submissions.delete_released(before_ms=1, limit=limit),
        ):
            with pytest.raises(Refused):
                await page

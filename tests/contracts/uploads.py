"""Contract of the Uploads port. Fixture: `uploads`, an empty store."""

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail.ports import TooManyUploads
from schemas.mailbox import Usage
from schemas.uploads import Upload, UploadQuota

HOUR_MS = 3_600_000
NOW_MS = 1_700_000_000_000
DAY_MS = 24 * HOUR_MS
QUOTA = UploadQuota(size_bytes=100, uploads=3, keep_ms=HOUR_MS)
RUNS = itertools.count()


def upload(id_: str, size_bytes: int = 10, *, user: str = "ann", at_ms: int = NOW_MS) -> Upload:
    return Upload(
        upload_id=id_, user_id=user, filename=f"그림 {id_}.png", content_type="image/png",
        size_bytes=size_bytes, used_at_ms=at_ms, expires_at_ms=at_ms + DAY_MS,
    )  # fmt: skip


async def put(uploads, row: Upload, *, now_ms: int | None = None) -> None:
    at_ms = row.used_at_ms if now_ms is None else now_ms
    await uploads.begin(row, quota=QUOTA, now_ms=at_ms)
    await uploads.finish(row.upload_id, sha256=f"sha of {row.upload_id}")


async def ids(uploads, user: str = "ann", *, now_ms: int = NOW_MS) -> list[str]:
    return [row.upload_id for row in await uploads.uploads(user, now_ms=now_ms)]


class UploadsContract:
    async def test_an_upload_is_shown_once_it_is_finished(self, uploads):
        row = upload("u1")
        await uploads.begin(row, quota=QUOTA, now_ms=NOW_MS)
        assert await ids(uploads) == []
        assert await uploads.usage("ann", now_ms=NOW_MS) == Usage(10, 1), "and counted before"
        assert await uploads.use("ann", ["u1"], now_ms=NOW_MS, expires_at_ms=9 * NOW_MS) == []
        await uploads.finish("u1", sha256="s")
        (shown,) = await uploads.uploads("ann", now_ms=NOW_MS)
        assert (shown.filename, shown.content_type) == (row.filename, row.content_type)
        assert (shown.size_bytes, shown.sha256) == (10, "s")
        assert shown.expires_at_ms == row.expires_at_ms
        await uploads.finish("gone", sha256="s")

    async def test_beginning_again_changes_nothing(self, uploads):
        await put(uploads, upload("u1"))
        before = await uploads.uploads("ann", now_ms=NOW_MS)
        await uploads.begin(upload("u1", 99), quota=QUOTA, now_ms=NOW_MS)
        assert await uploads.uploads("ann", now_ms=NOW_MS) == before

    async def test_another_users_upload_does_not_exist(self, uploads):
        await put(uploads, upload("u1"))
        assert await ids(uploads, "bob") == []
        assert await uploads.use("bob", ["u1"], now_ms=NOW_MS, expires_at_ms=9 * NOW_MS) == []
        assert not await uploads.expire("bob", "u1", now_ms=NOW_MS)
        assert await uploads.usage("bob", now_ms=NOW_MS) == Usage()
        assert await ids(uploads) == ["u1"]

    async def test_use_extends_and_reorders(self, uploads):
        for number in (1, 2):
            await put(uploads, upload(f"u{number}", at_ms=NOW_MS + number))
        later_ms = NOW_MS + HOUR_MS
        used = await uploads.use(
            "ann", ["u1", "none"], now_ms=later_ms, expires_at_ms=later_ms + DAY_MS
        )
        assert [(row.upload_id, row.used_at_ms, row.expires_at_ms) for row in used] == [
            ("u1", later_ms, later_ms + DAY_MS)
        ]
        assert await ids(uploads, now_ms=later_ms) == ["u2", "u1"]
        assert await ids(uploads, now_ms=NOW_MS + 2 + DAY_MS) == ["u1"]

    async def test_an_expired_upload_never_comes_back(self, uploads):
        await put(uploads, upload("u1"))
        assert await uploads.expire_due(now_ms=NOW_MS + DAY_MS - 1, limit=9) == []
        (ended,) = await uploads.expire_due(now_ms=NOW_MS + DAY_MS, limit=9)
        assert (ended.upload_id, ended.user_id, ended.expires_at_ms) == ("u1", "ann", 0)
        assert await ids(uploads) == [], "also if the clock goes back"
        assert await uploads.use("ann", ["u1"], now_ms=NOW_MS, expires_at_ms=9 * NOW_MS) == []
        assert len(await uploads.expire_due(now_ms=NOW_MS, limit=9)) == 1, "until it is deleted"
        await uploads.delete(["u1", "none"])
        assert await uploads.expire_due(now_ms=9 * NOW_MS, limit=9) == []

    async def test_an_owner_ends_an_upload_once(self, uploads):
        await put(uploads, upload("u1"))
        assert await uploads.expire("ann", "u1", now_ms=NOW_MS)
        assert not await uploads.expire("ann", "u1", now_ms=NOW_MS)
        assert await uploads.usage("ann", now_ms=NOW_MS) == Usage()
        assert [row.upload_id for row in await uploads.expire_due(now_ms=NOW_MS, limit=9)] == ["u1"]

    async def test_due_uploads_are_returned_by_parts(self, uploads):
        for number, user in enumerate(("ann", "bob", "cy")):
            await put(uploads, upload(f"u{number}", user=user, at_ms=NOW_MS - number))
        parts = []
        while part := await uploads.expire_due(now_ms=NOW_MS + DAY_MS, limit=2):
            parts.append({row.upload_id for row in part})
            await uploads.delete([row.upload_id for row in part])
        assert [len(part) for part in parts] == [2, 1]
        assert set().union(*parts) == {"u0", "u1", "u2"}

    async def test_room_is_made_by_the_least_recently_used_that_may_expire(self, uploads):
        old_ms = NOW_MS - HOUR_MS
        for number in (1, 2, 3):
            await put(uploads, upload(f"u{number}", 30, at_ms=old_ms + number - 3))
        await uploads.use("ann", ["u1"], now_ms=NOW_MS, expires_at_ms=NOW_MS + DAY_MS)
        await put(uploads, upload("u4", 30), now_ms=NOW_MS)
        assert await ids(uploads) == ["u3", "u1", "u4"]
        with pytest.raises(TooManyUploads):
            await uploads.begin(upload("u5", 80), quota=QUOTA, now_ms=NOW_MS)
        assert await ids(uploads) == ["u3", "u1", "u4"], "a refusal ends none"
        with pytest.raises(TooManyUploads):
            await uploads.begin(upload("u6", 101, user="bob"), quota=QUOTA, now_ms=NOW_MS)

    async def test_uploads_at_once_stay_within_the_quota(self, uploads):
        outcomes = await asyncio.gather(
            *(uploads.begin(upload(f"u{n}"), quota=QUOTA, now_ms=NOW_MS) for n in range(9)),
            return_exceptions=True,
        )
        assert sum(isinstance(each, TooManyUploads) for each in outcomes) == 6
        assert await uploads.usage("ann", now_ms=NOW_MS) == Usage(30, 3)

    @settings(
        max_examples=30,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(steps=st.lists(st.tuples(st.integers(0, 3 * HOUR_MS), st.integers(1, 60)), max_size=12))
    async def test_no_sequence_exceeds_the_quota_or_ends_what_was_just_used(self, uploads, steps):
        user, now_ms = f"user {next(RUNS)}", NOW_MS
        for number, (pause_ms, size_bytes) in enumerate(steps):
            now_ms += pause_ms
            before = await uploads.uploads(user, now_ms=now_ms)
            row = upload(f"{user} {number}", size_bytes, user=user, at_ms=now_ms)
            try:
                await put(uploads, row)
            except TooManyUploads:
                assert await uploads.uploads(user, now_ms=now_ms) == before
            after = await uploads.uploads(user, now_ms=now_ms)
            assert sum(each.size_bytes for each in after) <= QUOTA.size_bytes
            assert len(after) <= QUOTA.uploads
            recent = [each for each in before if each.used_at_ms > now_ms - QUOTA.keep_ms]
            assert all(each in after for each in recent)

"""What every ContentStore does. Inherit, give a `contents` fixture: the adapter is held to it."""

import asyncio
import hashlib
import random
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail.errors import ContentMissing
from mail.ids import derived_id, new_id
from mail.ports import ContentStore

PATHS = ("../escape", "/etc/passwd", "a/b", "a\\b", ".", "..", "", "a\x00b", "a\n", "é", "a" * 65)


class ContentStoreContract:
    @settings(
        deadline=None,
        max_examples=40,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(st.binary(max_size=300))
    async def test_bytes_come_back_as_they_went(self, contents, content):
        stored = await contents.put(new_id(), content)
        assert stored.sha256 == hashlib.sha256(content).hexdigest()
        assert stored.size_bytes == len(content)
        assert await contents.get(stored.ref) == content

    async def test_a_large_mail_comes_back_whole(self, contents):
        content = hashlib.sha256(b"seed").digest() * 700_000
        stored = await contents.put(new_id(), content)
        assert stored.size_bytes == 22_400_000
        assert await contents.get(stored.ref) == content

    async def test_the_same_id_again_changes_nothing(self, contents):
        mail_id = new_id()
        stored = await contents.put(mail_id, b"first")
        assert await contents.put(mail_id, b"first") == stored
        assert await contents.put(mail_id, b"second") == stored
        assert await contents.get(stored.ref) == b"first"

    async def test_the_same_mail_many_times_at_once_is_one(self, contents):
        mail_id = new_id()
        content = b"x" * 100_000
        stored = await asyncio.gather(*(contents.put(mail_id, content) for _ in range(16)))
        assert len(set(map(str, stored))) == 1
        assert await contents.get(stored[0].ref) == content

    async def test_ids_that_share_their_end_are_apart(self, contents):
        first, second = f"{derived_id('a')[:-4]}abcd", f"{derived_id('b')[:-4]}abcd"
        stored = [await contents.put(first, b"1"), await contents.put(second, b"2")]
        assert [await contents.get(one.ref) for one in stored] == [b"1", b"2"]

    async def test_what_was_never_put_is_missing(self, contents):
        with pytest.raises(ContentMissing):
            await contents.get(new_id())

    async def test_what_was_deleted_is_missing_and_may_be_put_again(self, contents):
        mail_id = new_id()
        stored = await contents.put(mail_id, b"first")
        kept = await contents.put(new_id(), b"kept")
        await contents.delete(stored.ref)
        await contents.delete(stored.ref)
        with pytest.raises(ContentMissing):
            await contents.get(stored.ref)
        assert await contents.get(kept.ref) == b"kept"
        again = await contents.put(mail_id, b"second")
        assert await contents.get(again.ref) == b"second"

    @pytest.mark.parametrize("path", PATHS)
    async def test_an_id_is_never_a_path(self, contents, path):
        with pytest.raises(ValueError, match="no mail id"):
            await contents.put(path, b"x")
        with pytest.raises(ContentMissing):
            await contents.get(path)
        await contents.delete(path)

    async def test_what_is_absent_is_told(self, contents):
        there = (await contents.put(new_id(), b"here")).ref
        gone = (await contents.put(new_id(), b"gone")).ref
        await contents.delete(gone)
        assert await contents.absent([there, gone, "../x", "a/b"]) == [gone, "../x", "a/b"]
        assert await contents.absent([]) == []

    async def test_a_walk_meets_what_is_old_and_nothing_else(self, contents):
        old_ms = 1_700_000_000_000
        old = [uuid7_of(old_ms + number) for number in range(7)]
        fresh, untimed = new_id(), derived_id("no time in it")
        for number, mail_id in enumerate((*old, fresh, untimed)):
            await contents.put(mail_id, b"x" * (100_000 if number % 2 else 1))
        for before_ms, wanted in (
            (old_ms, set()),
            (old_ms + 3, set(old[:3])),
            (old_ms + 10**6, set(old)),
            (2**50, {*old, fresh, untimed}),
        ):
            assert await walked(contents, before_ms) == sorted(wanted)
        await contents.delete(old[0])
        assert await walked(contents, old_ms + 10**6) == sorted(old[1:])

    async def test_a_walk_through_nothing_ends(self, contents):
        assert await walked(contents, 2**50) == []


def uuid7_of(at_ms: int) -> str:
    return str(uuid.UUID(int=at_ms << 80 | 7 << 76 | 2 << 62 | random.getrandbits(60)))


async def walked(contents: ContentStore, before_ms: int) -> list[str]:
    found, place = [], None
    while True:
        refs, place = await contents.older(before_ms=before_ms, place=place, limit=3)
        assert len(refs) <= 3
        found += refs
        if place is None:
            return sorted(found)

"""What every ContentStore does. Inherit, give a `contents` fixture: the adapter is held to it."""

import asyncio
import hashlib

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail.errors import ContentMissing
from mail.ids import derived_id, new_id

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

    @pytest.mark.parametrize("path", PATHS)
    async def test_an_id_is_never_a_path(self, contents, path):
        with pytest.raises(ValueError, match="no mail id"):
            await contents.put(path, b"x")
        with pytest.raises(ContentMissing):
            await contents.get(path)

    async def test_parts_make_the_whole(self, contents):
        for size in (0, 1, 999, 1_000, 1_001, 300_000):
            content = bytes(n % 251 for n in range(size))
            stored = await contents.put(f"mail-{size}", content)
            parts = [
                await contents.part(stored.ref, start=at, size_bytes=1_000)
                for at in range(0, size, 1_000)
            ]
            assert b"".join(parts) == content
            assert await contents.part(stored.ref, start=size, size_bytes=5) == b""
        with pytest.raises(ContentMissing):
            await contents.part("mail-missing", start=0, size_bytes=5)

    async def test_what_is_absent_is_named(self, contents):
        there, gone = (await contents.put(new_id(), b"here")).ref, new_id()
        assert await contents.missing([there, gone, "../x", "a/b"]) == [gone, "../x", "a/b"]
        assert await contents.missing([]) == []

    async def test_a_walk_meets_every_content_once(self, contents):
        put = [new_id() for _ in range(7)] + [derived_id("an id without a time")]
        for number, mail_id in enumerate(put):
            await contents.put(mail_id, LARGE if number % 2 else SMALL)
        assert await walked(contents) == sorted(put)

    async def test_a_walk_through_nothing_ends(self, contents):
        assert await walked(contents) == []


SMALL, LARGE = b"x", b"x" * 200_000


class ContentSweepContract:
    """For adapters that are a ContentSweep too; inherit both."""

    @pytest.mark.parametrize("content", [SMALL, LARGE])
    async def test_a_content_is_deleted_at_the_given_count(self, contents, content):
        gone, kept = [(await contents.put(new_id(), content)).ref for _ in range(2)]
        for _ in range(2):
            assert await contents.sweep(loose=[gone, kept], turns=3) == []
        assert await contents.missing([gone, kept]) == []
        assert await contents.sweep(loose=[gone], turns=3) == [gone]
        assert await contents.missing([gone, kept]) == [gone]
        with pytest.raises(ContentMissing):
            await contents.get(gone)
        assert await contents.loose(after="", limit=9) == [kept]
        assert await walked(contents) == [kept]
        again = await contents.put(gone, b"second")
        assert await contents.get(again.ref) == b"second"

    async def test_turns_are_counted_in_a_row(self, contents):
        first, second = sorted([(await contents.put(new_id(), SMALL)).ref for _ in range(2)])
        await contents.sweep(loose=[first, second], turns=3)
        await contents.sweep(loose=[first], held=[second], turns=3)
        assert await contents.loose(after="", limit=9) == [first]
        assert await contents.sweep(loose=[first, second], turns=3) == [first]
        assert await contents.sweep(loose=[second], turns=3) == []
        assert await contents.sweep(loose=[second], turns=3) == [second]

    @pytest.mark.parametrize("content", [SMALL, LARGE])
    async def test_a_put_ends_the_count(self, contents, content):
        ref = (await contents.put(new_id(), content)).ref
        await contents.sweep(loose=[ref], turns=2)
        await contents.put(ref, content)
        assert await contents.loose(after="", limit=9) == []
        assert await contents.sweep(loose=[ref], turns=2) == []
        assert await contents.get(ref) == content

    async def test_counts_are_read_by_pages(self, contents):
        refs = sorted([(await contents.put(new_id(), SMALL)).ref for _ in range(5)])
        await contents.sweep(loose=refs, turns=9)
        assert await contents.loose(after="", limit=2) == refs[:2]
        assert await contents.loose(after=refs[1], limit=9) == refs[2:]
        assert await contents.loose(after=refs[4], limit=9) == []

    async def test_what_is_not_there_is_counted_and_forgotten(self, contents):
        """A crash between a deletion and the end of its count; a name that cannot be a file's."""
        assert await contents.sweep(loose=["gone", "../x"], turns=1) == ["gone", "../x"]
        assert await contents.loose(after="", limit=9) == []

    async def test_a_lease_stops_counts_and_deletions(self, contents):
        ref = (await contents.put(new_id(), SMALL)).ref
        await contents.sweep(loose=[ref], turns=2)
        await contents.take_lease("lease-1", "a backup")
        await contents.take_lease("lease-1", "a backup")
        await contents.take_lease("lease-2", "another")
        for _ in range(3):
            assert await contents.sweep(loose=[ref], turns=2) == []
        await contents.end_lease("lease-1")
        assert await contents.sweep(loose=[ref], turns=2) == []
        await contents.end_lease("lease-2")
        await contents.end_lease("lease-2")
        assert await contents.sweep(loose=[ref], turns=2) == [ref]

    async def test_a_lease_beats_until_it_ends(self, contents):
        assert await contents.leases() == []
        assert not await contents.renew_lease("lease-1")
        await contents.take_lease("lease-1", "a backup")
        (taken,) = await contents.leases()
        assert (taken.lease_id, taken.purpose, taken.beats) == ("lease-1", "a backup", 0)
        assert await contents.renew_lease("lease-1")
        (renewed,) = await contents.leases()
        assert renewed == msgspec.structs.replace(taken, beats=1)
        await contents.end_lease("lease-1")
        assert not await contents.renew_lease("lease-1")


async def walked(contents) -> list[str]:
    found, place = [], None
    while True:
        refs, place = await contents.walk(place=place, limit=3)
        assert len(refs) <= 3
        found += refs
        if place is None:
            return sorted(found)

"""Contract of the ContentSweep port. Fixture: `contents`, an empty store of both ports."""

import msgspec
import pytest

from mail.errors import ContentMissing
from mail.ids import derived_id, new_id

SMALL, LARGE = b"x", b"x" * 200_000


class ContentSweepContract:
    async def test_a_walk_meets_every_content_once(self, contents):
        put = [new_id() for _ in range(7)] + [derived_id("an id without a time")]
        for number, mail_id in enumerate(put):
            await contents.put(mail_id, LARGE if number % 2 else SMALL)
        assert await walked(contents) == sorted(put)

    async def test_a_walk_through_nothing_ends(self, contents):
        assert await walked(contents) == []

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

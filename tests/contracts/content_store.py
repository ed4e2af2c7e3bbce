"""Contract of the ContentStore port. Fixture: `contents`, an empty store."""

import asyncio
import hashlib

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
                await contents.read(stored.ref, start=at, size_bytes=1_000)
                for at in range(0, size, 1_000)
            ]
            assert b"".join(parts) == content
            assert await contents.read(stored.ref, start=size, size_bytes=5) == b""
        with pytest.raises(ContentMissing):
            await contents.read("mail-missing", start=0, size_bytes=5)

    @pytest.mark.parametrize("size", [0, 1, 5_000, 131_072, 131_073, 400_000])
    async def test_a_range_is_a_slice_of_the_content(self, contents, size):
        """Sizes on both sides of the largest row; ranges over the blocks of rows and files."""
        content = bytes(n % 251 for n in range(size))
        ref = (await contents.put(new_id(), content)).ref
        for start, size_bytes in (
            (0, 0), (0, 1), (0, size), (0, size + 1), (size // 2, 0), (size // 2, size),
            (max(size - 1, 0), 9), (size, 1), (size + 1, 1), (10**12, 1), (4_090, 20),
            (65_530, 20), (131_070, 5), (1, 10**15),
        ):  # fmt: skip
            wanted = content[start : start + size_bytes]
            assert await contents.read(ref, start=start, size_bytes=size_bytes) == wanted

    async def test_ranges_of_unknown_contents_and_ranges_that_are_none(self, contents):
        for ref in (new_id(), "../x", ""):
            with pytest.raises(ContentMissing):
                await contents.read(ref, start=0, size_bytes=0)
        ref = (await contents.put(new_id(), b"abc")).ref
        for start, size_bytes in ((-1, 1), (0, -1)):
            with pytest.raises(ValueError, match="no range"):
                await contents.read(ref, start=start, size_bytes=size_bytes)

    async def test_ranges_are_read_at_once(self, contents):
        content = hashlib.sha256(b"seed").digest() * 20_000
        ref = (await contents.put(new_id(), content)).ref
        starts = range(0, len(content), 64_000)
        parts = await asyncio.gather(
            *(contents.read(ref, start=start, size_bytes=64_000) for start in starts)
        )
        assert b"".join(parts) == content

    async def test_what_is_absent_is_named(self, contents):
        there, gone = (await contents.put(new_id(), b"here")).ref, new_id()
        assert await contents.missing([there, gone, "../x", "a/b"]) == [gone, "../x", "a/b"]
        assert await contents.missing([]) == []

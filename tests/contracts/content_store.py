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

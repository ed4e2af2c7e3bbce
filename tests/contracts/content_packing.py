"""Contract of the ContentPacking port.

Fixtures: `contents`, an empty store; `packing`, its packing, for which no content is too new.
"""

import asyncio

import pytest

from mail.errors import ContentMissing
from mail.ids import new_id


class ContentPackingContract:
    async def test_contents_are_the_same_after_they_moved(self, contents, packing):
        put = {new_id(): b"x" * size for size in (0, 1, 999, 5_000, 131_072, 131_073)}
        stored = {mail_id: await contents.put(mail_id, put[mail_id]) for mail_id in put}
        for _ in range(3):
            await packing.turn()
            assert await contents.missing(put) == []
            for mail_id, content in put.items():
                assert await contents.get(mail_id) == content
                assert await contents.read(mail_id, start=1, size_bytes=900) == content[1:901]
                assert await contents.put(mail_id, b"second") == stored[mail_id]
        assert packing.counts().contents == 4, "each of the small contents, once"
        assert packing.counts().written == 1

    async def test_nothing_moves_where_nothing_is(self, contents, packing):
        await packing.turn()
        assert set(vars_of(packing.counts())) == {0}

    async def test_a_content_that_moved_is_deleted_for_good(self, contents, packing):
        first, second = new_id(), new_id()
        for mail_id in (first, second):
            await contents.put(mail_id, b"content")
        await packing.turn()
        assert await contents.sweep(loose=[first, second], turns=1) == [first, second]
        with pytest.raises(ContentMissing):
            await contents.get(first)
        await contents.put(second, b"again")
        for _ in range(4):
            await packing.turn()
        assert await contents.missing([first, second]) == [first]
        assert await contents.get(second) == b"again"
        assert packing.counts().deleted == 1

    async def test_turns_at_once_lose_nothing(self, contents, packing):
        put = {new_id(): b"%d" % number for number in range(20)}
        await asyncio.gather(*(contents.put(*each) for each in put.items()))
        await asyncio.gather(packing.turn(), packing.turn())
        for mail_id, content in put.items():
            assert await contents.get(mail_id) == content


def vars_of(counts) -> list[int]:
    return [getattr(counts, name) for name in counts.__struct_fields__]

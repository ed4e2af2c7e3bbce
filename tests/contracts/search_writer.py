"""Contract of SearchWriter: inherit, and provide a fixture `index` with the adapter."""

import asyncio

import msgspec
import pytest

from mail.query.planner import IndexQuery
from mail.query.tree import RelatedTo, header_with
from schemas.search import IndexedTo
from tests.contracts.search_cases import document, ids
from tests.contracts.search_index import find, index_query


class SearchWriterContract:
    async def test_indexed_lists_the_documents_of_one_user(self, index):
        await index.add(document("a"))
        await index.add(document("b", user="bob"))
        assert await index.indexed("ann", ids("a", "b", "c")) == set(ids("a"))
        assert await index.unfilled() == []
        await index.mark_filled("ann", IndexedTo("e", 7))

    async def test_a_cleared_user_is_unfilled_until_marked_filled(self, index):
        for name in "abcdefgh":
            await index.add(document(name, body="x"))
        await index.add(document("other", user="bob", body="x"))
        await index.clear("ann")
        assert await index.indexed("ann", ids(*"abcdefgh")) == set()
        assert await index.indexed("bob", ids("other")) == set(ids("other"))
        assert await index.unfilled() == ["ann"]
        await index.add(document("a", body="x"))
        await index.mark_filled("ann", IndexedTo("e", 7))
        assert await index.unfilled() == []
        assert await index.matching("ann", index_query("x"), ids(*"abc")) == set(ids("a"))

    async def test_the_same_again_changes_nothing(self, index):
        for _ in range(3):
            await index.add(document("a", body="x"))
        assert await find(index, "x") == ids("a")

    async def test_another_text_replaces_the_first(self, index):
        await index.add(document("a", at=1, body="old words"))
        await index.add(document("b", at=2, body="words"))
        await index.add(document("a", at=3, body="new words"))
        assert await find(index, "old") == []
        assert await find(index, "words") == ids("a", "b")

    async def test_removal_takes_one_and_may_be_repeated(self, index):
        for name in "abc":
            await index.add(document(name, at=ord(name), body="x"))
        for _ in range(2):
            await index.remove("ann", ids("b")[0])
        assert await find(index, "x") == ids("c", "a")
        await index.add(document("b", at=ord("b"), body="x"))
        assert await find(index, "x") == ids("c", "b", "a")

    async def test_much_at_once_is_all_there(self, index):
        made = [document(str(n), user=f"u{n % 5}", at=n, body=f"x n{n}") for n in range(200)]
        await asyncio.gather(*map(index.add, made))
        for user in range(5):
            assert await find(index, "x", user=f"u{user}") == ids(
                *(str(n) for n in range(199, -1, -1) if n % 5 == user)
            )

    async def test_of_changes_at_once_the_last_one_counts(self, index):
        await asyncio.gather(
            index.add(document("a", body="first")),
            index.remove("ann", ids("a")[0]),
            index.add(document("a", body="last")),
            index.add(document("b", body="last")),
            index.remove("ann", ids("b")[0]),
        )
        assert await find(index, "first") == []
        assert await find(index, "last") == ids("a")

    @pytest.mark.parametrize(
        "text",
        [
            "lone \ud800 surrogate",
            "nul \x00 byte",
            '" OR * NEAR( ^ " subject : {',
            "\u0e38\u3099" * 200_000,
            "long" * 100_000,
            "\ufdfa" * 300_000,
        ],
        ids=["surrogate", "nul", "operators", "marks", "one word", "expanding"],
    )
    async def test_any_text_is_taken(self, index, text):
        await index.add(document("odd", subject="sound", body=text))
        await index.add(document("next", subject="sound", body="x", at=1))
        assert await find(index, "sound") == ids("odd", "next")

    async def test_only_the_beginning_of_a_long_text_is_known(self, index):
        await index.add(document("long", body="early " + "x " * 200_000 + "late"))
        assert await find(index, "early") == ids("long")
        assert await find(index, "late") == []

    async def test_the_indexed_seq_of_an_epoch_only_rises_until_the_user_is_cleared(self, index):
        assert await index.indexed_to("ann") == IndexedTo()
        await index.mark_indexed("ann", IndexedTo("e", 5))
        await index.mark_indexed("ann", IndexedTo("e", 3))
        assert await index.indexed_to("ann") == IndexedTo("e", 5)
        assert await index.indexed_to("bob") == IndexedTo()
        await index.mark_indexed("ann", IndexedTo("f", 4))
        assert await index.indexed_to("ann") == IndexedTo("f", 4)
        await index.clear("ann")
        await index.mark_indexed("ann", IndexedTo("f", 2))
        assert (await index.indexed_to("ann"), await index.unfilled()) == (
            IndexedTo("f", 2),
            ["ann"],
        )
        await index.mark_filled("ann", IndexedTo("f", 9))
        assert (await index.indexed_to("ann"), await index.unfilled()) == (IndexedTo("f", 9), [])

    async def test_header_fields_and_ids_may_be_any_text(self, index):
        made = document(
            "odd",
            headers=(("x-\ud800", 'a"b \ud800'), ("x" * 100, "(' OR *"), ("x y", "z")),
            header_ids={"message-id": ('" OR \ud800',), "references": ("a b", "")},
            sent_day=-(10**9),
        )
        await index.add(made)
        await index.add(msgspec.structs.replace(made, headers=made.headers[1:]))
        for leaf in (header_with("x y"), header_with("", "(' or"), RelatedTo("a b")):
            found = await index.find("ann", IndexQuery(text=leaf), limit=3)
            assert [id_ for _, id_ in found.positions] == ids("odd"), leaf
        gone = await index.find("ann", IndexQuery(text=header_with("", 'a"b')), limit=3)
        assert gone.positions == []
        await index.remove("ann", ids("odd")[0])
        for leaf in (header_with("x y"), RelatedTo("a b")):
            assert await index.count("ann", IndexQuery(text=leaf), limit=3) == 0

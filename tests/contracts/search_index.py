"""What every SearchIndex does. Inherit, give an `index` fixture, and the adapter is held to it."""

import asyncio

import pytest

from mail.errors import BadQuery, Refused
from mail.ids import derived_id
from mail.ports import SearchIndex
from schemas.records import IndexDocument


def document(name: str, *, user: str = "ann", at: int = 1_700_000_000_000, **fields: str):
    """A document whose message id follows from `name`; empty but for `fields`."""
    texts = {"subject": "", "sender": "", "recipients": "", "body": "", "filenames": ""}
    return IndexDocument(
        message_id=derived_id(name),
        user_id=user,
        domain_id="domain",
        received_at_ms=at,
        **(texts | fields),
    )


async def find(index: SearchIndex, query: str, *, user: str = "ann") -> list[str]:
    """All message ids in order, by pages of 3."""
    found, cursor = await index.search(user, query, limit=3, cursor=None)
    while cursor is not None:
        page, cursor = await index.search(user, query, limit=3, cursor=cursor)
        assert page
        found += page
    return found


def ids(*names: str) -> list[str]:
    return [derived_id(name) for name in names]


class SearchIndexContract:
    @pytest.mark.parametrize("field", ["subject", "sender", "recipients", "body", "filenames"])
    async def test_a_word_is_found_in_every_field(self, index, field):
        await index.add(document("hit", **{field: "the invoice of May"}))
        await index.add(document("miss", **{field: "the invoices of May"}))
        assert await find(index, "Invoice") == ids("hit")

    async def test_every_term_must_be_found_in_whatever_field(self, index):
        await index.add(document("both", subject="budget", body="meeting"))
        await index.add(document("one", subject="budget", body="talk"))
        assert await find(index, "meeting budget") == ids("both")
        assert await find(index, "meeting budget lunch") == []

    async def test_a_phrase_is_side_by_side_in_order_in_one_field(self, index):
        await index.add(document("hit", body="see you next week again"))
        await index.add(document("reversed", body="week next"))
        await index.add(document("apart", body="next busy week"))
        await index.add(document("split", subject="next", body="week"))
        assert await find(index, '"next week"') == ids("hit")

    async def test_fields_are_asked_for_by_name(self, index):
        await index.add(document("subject", subject="kim writes", sender="lee", at=2))
        await index.add(document("sender", subject="lee writes", sender="kim park", at=1))
        assert await find(index, "subject:kim") == ids("subject")
        assert await find(index, "from:kim") == ids("sender")
        assert await find(index, 'FROM:"kim park"') == ids("sender")
        assert await find(index, 'from:"park kim"') == []
        assert await find(index, "kim") == ids("subject", "sender")

    @pytest.mark.parametrize(
        ("text", "query"),
        [
            ("Crème brûlée in Łódź", "creme lodz"),
            ("creme brulee", "CRÈME"),
            ("Straße", "STRASSE"),
            ("ＦＵＬＬ ｗｉｄｔｈ １２", '"full width 12"'),
            ("cafe\u0301 closed", "café"),
            ("ёлка", "елка"),
            ("new\u00adslet\u200bter", "newsletter"),
        ],
    )
    async def test_case_width_and_accents_do_not_matter(self, index, text, query):
        await index.add(document("hit", body=text))
        assert await find(index, query) == ids("hit")

    @pytest.mark.parametrize(
        ("text", "query"),
        [
            ("다음 주 회의록을 확인해 주세요", "회의"),
            ("다음 주 회의록을 확인해 주세요", "의록"),
            ("다음 주 회의록을 확인해 주세요", "회의록"),
            ("\u1112\u116c\u110b\u1174 decomposed", "회의"),
            ("明日の会議は東京で行います", "会議"),
            ("明日の会議は東京で行います", "は東京"),
            ("ﾃｽﾄ送信", "テスト"),
            ("我们明天在北京开会", "北京"),
            ("我们明天在北京开会", '"在北京开会"'),
            ("서울2024년", "2024"),
            ("ประชุมพรุ่งนี้", "ประชุม"),
        ],
    )
    async def test_scripts_without_spaces_are_found_from_two_characters(self, index, text, query):
        await index.add(document("hit", subject=text))
        await index.add(document("miss", subject="전혀 다른 이야기 全然 别的"))
        assert await find(index, query) == ids("hit")

    async def test_marks_that_make_another_letter_count(self, index):
        await index.add(document("ga", body="がくせい"))
        await index.add(document("ka", body="かくせい"))
        assert await find(index, "がくせい") == ids("ga")

    async def test_one_character_finds_only_where_it_stands_alone(self, index):
        await index.add(document("alone", body="김 대리"))
        await index.add(document("within", body="김치"))
        assert await find(index, "김") == ids("alone")

    async def test_an_address_is_found_whole_and_by_its_parts(self, index):
        await index.add(document("hit", sender="Bob Li <bob.li+x@Mail.Example.org>"))
        await index.add(document("miss", sender="li.bob@example.org"))
        for query in ("bob.li+x@mail.example.org", "from:bob.li", "from:mail.example.org"):
            assert await find(index, query) == ids("hit"), query
        assert len(await find(index, "@example.org")) == 2

    async def test_newest_first_then_by_message_id(self, index):
        documents = [document(str(n), at=n // 4, body="x") for n in range(20)]
        for added in documents[::2] + documents[1::2]:
            await index.add(added)
        expected = sorted(((d.received_at_ms, d.message_id) for d in documents), reverse=True)
        assert await find(index, "x") == [message_id for _, message_id in expected]

    async def test_pages_stay_whole_under_arrivals_and_removals(self, index):
        for n in range(8):
            await index.add(document(str(n), at=n, body="x"))
        first, cursor = await index.search("ann", "x", limit=3, cursor=None)
        await index.add(document("newer", at=99, body="x"))
        await index.remove("ann", first[-1])
        second, cursor = await index.search("ann", "x", limit=4, cursor=cursor)
        last, cursor = await index.search("ann", "x", limit=4, cursor=cursor)
        assert first + second + last == ids(*"76543210")
        assert cursor is None

    async def test_a_full_last_page_has_no_cursor(self, index):
        for n in range(4):
            await index.add(document(str(n), at=n, body="x"))
        _, cursor = await index.search("ann", "x", limit=4, cursor=None)
        assert cursor is None

    async def test_a_foreign_or_broken_cursor_is_refused(self, index):
        for n in range(4):
            await index.add(document(str(n), at=n, body="x y"))
        _, cursor = await index.search("ann", "x", limit=2, cursor=None)
        for user, query, given in (
            ("bob", "x", cursor),
            ("ann", "y", cursor),
            ("ann", "x", cursor[:-1]),
            ("ann", "x", cursor + "A"),
            ("ann", "x", "é" * 10),
            ("ann", "x", ""),
        ):
            with pytest.raises(Refused):
                await index.search(user, query, limit=2, cursor=given)

    @pytest.mark.parametrize("limit", [0, -1, 501])
    async def test_a_limit_out_of_bounds_is_refused(self, index, limit):
        with pytest.raises(Refused):
            await index.search("ann", "x", limit=limit, cursor=None)

    async def test_a_query_that_cannot_be_read_says_where(self, index):
        with pytest.raises(BadQuery) as caught:
            await index.search("ann", 'a "b', limit=1, cursor=None)
        assert caught.value.position == 2

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
            await index.remove("ann", derived_id("b"))
        assert await find(index, "x") == ids("c", "a")
        await index.add(document("b", at=ord("b"), body="x"))
        assert await find(index, "x") == ids("c", "b", "a")

    async def test_users_never_meet(self, index):
        users = [f"user{n}" for n in range(40)]  # more than any adapter has buckets
        for user in users:
            await index.add(document("same", user=user, body=f"shared {user}"))
        await index.remove("user7", derived_id("same"))
        for user in users:
            expected = [] if user == "user7" else ids("same")
            assert await find(index, "shared", user=user) == expected
            assert await find(index, "user7", user=user) == []

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
            index.remove("ann", derived_id("a")),
            index.add(document("a", body="last")),
            index.add(document("b", body="last")),
            index.remove("ann", derived_id("b")),
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

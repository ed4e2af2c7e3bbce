"""Contract of SearchReader: inherit, and provide a fixture `index` with the adapter."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC

import pytest

from mail.errors import Refused
from mail.pagination import NEWEST
from mail.ports import COUNTED_MAX, MATCHES_MAX, Commit, SearchIndex
from mail.query.highlighter import HighlightedText
from mail.query.parser import parse
from mail.query.planner import IndexQuery, plan_of
from mail.query.time_budget import SearchTimedOut, TimeBudget
from mail.query.tree import SEARCHED_FIELDS, Query, QueryContext, containing
from mail.query.values import zone_of
from mail.search.executor import SearchRequest, execute_search
from schemas.events.mailbox_events import MailboxChanged, MessageChange, Position
from schemas.mailbox import FolderCounts, MailboxState, Message
from stores.memory import MemoryMailStore
from tests.contracts.search_cases import (
    DOCUMENTS,
    FIXED_FACTS,
    IN_ZONES,
    NAME_OF,
    NOW_MS,
    RELEVANT,
    ROW_FACTS,
    ROWS,
    document,
    ids,
)


def read(query: str, zone: str = "UTC") -> Query:
    return parse(query, QueryContext(now_ms=NOW_MS, zone=UTC if zone == "UTC" else zone_of(zone)))


def index_query(query: str, zone: str = "UTC") -> IndexQuery:
    """The IndexQuery of a query that needs no message rows."""
    return plan_of(read(query, zone).node).index_query


async def find(index: SearchIndex, query: str, *, user: str = "ann") -> list[str]:
    """Return all matching message ids in order, read by pages of 3."""
    parsed, matches, before = index_query(query), [], NEWEST
    while page := (await index.find(user, parsed, limit=3, before=before)).positions:
        matches += [message_id for _, message_id in page]
        before = page[-1]
    assert await index.count(user, parsed, limit=MATCHES_MAX) == len(matches)
    return matches


async def store_of(rows: Iterable[Message]) -> MemoryMailStore:
    """Return a mail store that holds `rows`."""
    store, by_user = MemoryMailStore(), defaultdict(list)
    for row in rows:
        by_user[row.user_id].append(row)
    for user_id, messages in by_user.items():
        entry = MailboxChanged(
            user_id=user_id, domain_id="d", seq=1, command_id="c", position=Position("e", 0, 0),
            changes=tuple(
                MessageChange(change="created", message_id=row.message_id, places=row.places,
                              keywords=row.keywords)
                for row in messages
            ),
            folders=(), at_ms=0,
        )  # fmt: skip
        folders = {id_: FolderCounts(id_) for row in messages for id_ in row.places}
        state = MailboxState(seq=1, folders=folders, usage=None)
        await store.commit(Commit(entry=entry, messages=tuple(messages), state=state))
    return store


async def hits(
    index: SearchIndex, query: Query, *, rows=ROWS, limit=2, user="ann", **options
) -> list[str]:
    """Return the message ids of a whole search, read by pages."""
    ids_, cursor, store = [], None, await store_of(rows)
    while True:
        request = SearchRequest(user_id=user, query=query, limit=limit, cursor=cursor, **options)
        page = await execute_search(index, store, request)
        assert len(page.hits) <= limit
        ids_ += [hit.row.message_id for hit in page.hits]
        assert page.total >= len(ids_)
        cursor = page.next_cursor
        if cursor is None:
            assert (page.total, page.total_is_exact) == (len(ids_), True)
            return ids_


async def outcomes(index: SearchIndex, table, **options) -> dict[str, str]:
    """Return the names of the documents that each query of the table finds."""
    matches = {query: await hits(index, read(query), **options) for query, _ in table}
    return {query: " ".join(NAME_OF[id_] for id_ in ids_) for query, ids_ in matches.items()}


class SearchReaderContract:
    @pytest.fixture
    async def filled(self, index):
        await asyncio.gather(*map(index.add, DOCUMENTS))
        await index.add(document("another's", user="bob", body="invoice 회의 茶"))
        return index

    @pytest.mark.parametrize("field", SEARCHED_FIELDS)
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
        first = (await index.find("ann", index_query("x"), limit=3)).positions
        await index.add(document("newer", at=99, body="x"))
        await index.remove("ann", first[-1][1])
        second = (await index.find("ann", index_query("x"), limit=4, before=first[-1])).positions
        last = (await index.find("ann", index_query("x"), limit=4, before=second[-1])).positions
        assert [name for _, name in first + second + last] == ids(*"76543210")

    async def test_calls_spend_the_time_budget_and_end_with_it(self, index):
        await index.add(document("a", body="x"))
        budget = TimeBudget()
        assert (await index.find("ann", index_query("x"), limit=3, budget=budget)).positions
        assert await index.count("ann", index_query("x"), limit=3, budget=budget) == 1
        budget.spend(budget.left_s)
        for call in (
            index.find("ann", index_query("x"), limit=3, budget=budget),
            index.count("ann", index_query("x"), limit=3, budget=budget),
            index.matching("ann", index_query("x"), ids("a"), budget=budget),
        ):
            with pytest.raises(SearchTimedOut):
                await call
        assert len((await index.find("ann", index_query("x"), limit=3)).positions) == 1

    async def test_a_count_ends_at_its_limit(self, index):
        for n in range(5):
            await index.add(document(str(n), at=n, body="x", size_bytes=n))
        counts = [await index.count("ann", index_query("x"), limit=limit) for limit in (1, 4, 5, 6)]
        assert counts == [1, 4, 5, 5]
        assert await index.count("ann", index_query("x larger:2"), limit=9) == 2
        assert await index.count("ann", index_query("x -in:anywhere"), limit=9) == 0

    async def test_matching_finds_only_the_given_messages(self, index):
        for name in "abcd":
            await index.add(document(name, at=ord(name), body="x" if name != "b" else "y"))
        await index.add(document("e", user="bob", body="x"))
        message_ids = ids("a", "b", "d", "e", "nobody's")
        assert await index.matching("ann", index_query("x"), message_ids) == set(ids("a", "d"))
        assert await index.matching("ann", index_query("x larger:99"), message_ids) == set(
            ids("a", "d")
        )
        assert await index.matching("ann", index_query("-x"), message_ids) == set(ids("b"))
        assert await index.matching("ann", index_query("x"), []) == set()

    async def test_matching_distinguishes_few_messages_from_many_between_them(self, index):
        for n in range(60):
            await index.add(document(str(n), at=n, body=f"x n{n}"))
        message_ids = ids("0", "30", "59")
        assert await index.matching("ann", index_query("x -n30"), message_ids) == set(
            ids("0", "59")
        )
        assert await index.matching("ann", index_query("n30"), message_ids) == set(ids("30"))

    async def test_the_table_of_queries_and_their_matches(self, filled):
        assert await outcomes(filled, FIXED_FACTS) == dict(FIXED_FACTS)

    async def test_days_begin_in_the_time_zone_of_the_user(self, filled):
        for query, zone, names in IN_ZONES:
            assert await hits(filled, read(query, zone)) == ids(*names.split()), (query, zone)

    @pytest.mark.parametrize("examined_max", [1, 3, 100])
    async def test_rows_decide_folders_and_states(self, filled, examined_max):
        """For any number of examined candidates, from the index or from lists."""
        assert await outcomes(filled, ROW_FACTS, examined_max=examined_max) == dict(ROW_FACTS)

    async def test_the_subject_comes_first_by_relevance(self, filled):
        assert await outcomes(filled, RELEVANT, order="relevance") == dict(RELEVANT)

    async def test_without_a_row_there_is_no_hit(self, filled):
        rows = [row for row in ROWS if row.message_id not in ids("fresh")]
        assert await hits(filled, read("invoi*"), rows=rows) == ids("evening", "old", "ancient")
        assert await hits(filled, read("invoi*"), rows=[]) == []

    async def test_a_cursor_belongs_to_its_search(self, filled):
        async def page(query: str, cursor: str | None, user: str = "ann", order="date"):
            request = SearchRequest(
                user_id=user, query=read(query), limit=1, cursor=cursor, order=order
            )
            return (await execute_search(filled, await store_of(ROWS), request)).next_cursor

        cursor = await page("in:anywhere", None)
        assert cursor is not None
        assert await page("in:anywhere", cursor)
        for query, given, user, order in (
            ("in:anywhere", cursor, "bob", "date"),
            ("in:inbox", cursor, "ann", "date"),
            ("in:anywhere", cursor, "ann", "relevance"),
            ("in:anywhere", f"i1{cursor[2:]}", "ann", "date"),
            ("in:anywhere", cursor[:-1], "ann", "date"),
            ("in:anywhere", f"{cursor}A", "ann", "date"),
            ("in:anywhere", f"l{cursor[1:]}", "ann", "date"),
            ("in:anywhere", "i0.0.é", "ann", "date"),
            ("in:anywhere", "", "ann", "date"),
        ):
            with pytest.raises(Refused):
                await page(query, given, user, order)

    async def test_hits_are_highlighted(self, filled):
        async def highlights(query: str, name: str) -> HighlightedText:
            (id_,) = ids(name)
            return (await filled.highlight("ann", read(query).node, [id_, "nobody's"]))[id_]

        assert await highlights("invoi* -tea", "fresh") == HighlightedText(
            "<mark>Invoice</mark> 42 for tea", "see the <mark>invoice</mark>"
        )
        assert await highlights("subject:invoice from:bob", "fresh") == HighlightedText(
            "<mark>Invoice</mark> 42 for tea", None
        )
        assert (await highlights("회의", "korean")).preview == (
            "<mark>회의</mark>는 서울2024년 빌딩에서 합니다. 의회 자료도"
        )
        assert await highlights("creme cafe", "french") == HighlightedText(
            "<mark>Crème</mark> brûlée d'été", "<mark>cafe\u0301</mark> \u0153uvre"
        )
        assert await filled.highlight("bob", read("invoice").node, ids("fresh")) == {}

    @pytest.mark.parametrize(
        "query", ["invoice", "invoi*", '"see the invo"*', "invoice before:2030"]
    )
    async def test_a_page_that_comes_with_highlights_and_total_has_those_of_other_calls(
        self, filled, query
    ):
        node, wanted = read(query).node, index_query(query)
        for before in (NEWEST, (await filled.find("ann", wanted, limit=1)).positions[0]):
            page = await filled.find("ann", wanted, limit=2, before=before, highlighted=node)
            assert page[:2] == (await filled.find("ann", wanted, limit=2, before=before))[:2]
            found = [id_ for _, id_ in page.positions]
            assert page.highlights in ({}, await filled.highlight("ann", node, found))
            assert page.total in {None, await filled.count("ann", wanted, limit=COUNTED_MAX)}

    async def test_users_never_meet(self, index):
        users = [f"user{n}" for n in range(40)]  # more than any adapter has buckets
        for user in users:
            await index.add(document("same", user=user, body=f"shared {user}"))
        await index.remove("user7", ids("same")[0])
        for user in users:
            expected = [] if user == "user7" else ids("same")
            assert await find(index, "shared", user=user) == expected
            assert await find(index, "user7", user=user) == []

    async def test_the_position_of_a_document_is_known_before_it_is_added(self, index):
        made = [document(str(n), at=1_700_000_000_000 + n, body="x") for n in range(5)]
        expected = [index.position(one) for one in made]
        for one in made:
            await index.add(one)
        found = await index.find("ann", index_query("x"), limit=9)
        assert found.positions == sorted(expected, reverse=True)

    async def test_texts_inside_words_are_found_page_by_page(self, index):
        for n in range(30):
            await index.add(document(str(n), at=n, body=f"see the qwertyuiop{n}" * (n % 3)))
        contains = IndexQuery(text=containing("The  qWERTYUI"))
        first = await index.find("ann", contains, limit=4)
        rest = await index.find("ann", contains, limit=99, before=first.next_position)
        names = [str(n) for n in range(29, -1, -1) if n % 3]
        assert [id_ for _, id_ in first.positions + rest.positions] == ids(*names)
        assert rest.next_position is None
        assert await index.count("ann", contains, limit=7) == 7
        assert await index.matching("ann", contains, ids("0", "1", "2", "x")) == set(ids("1", "2"))

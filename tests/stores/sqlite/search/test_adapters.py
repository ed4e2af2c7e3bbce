"""Search indexes: contract suite, and comparison with each other and with the definition."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail.query.matcher import SearchedDocument, facts_of, matches
from mail.query.planner import tiers
from mail.query.tree import query_of
from mail.search.unindexed import Unindexed
from stores.memory.search_index import MemorySearchIndex
from tests.contracts.search_cases import document, ids, row
from tests.contracts.search_index import SearchReaderContract, hits
from tests.contracts.search_writer import SearchWriterContract
from tests.support.query_trees import DOCUMENT, FIXED_FACTS, ROW, ROW_FACTS, TEXTS, UNWRITTEN, trees

users = itertools.count()


class TestMemorySearchIndex(SearchReaderContract, SearchWriterContract):
    @pytest.fixture
    def index(self):
        return MemorySearchIndex()


class TestSqliteSearchIndex(SearchReaderContract, SearchWriterContract):
    @pytest.fixture
    def index(self, fts):
        return fts


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(DOCUMENT | st.sampled_from("abcdef"), max_size=10),
    rows=st.lists(ROW, min_size=6, max_size=6),
    unseen=st.sets(st.sampled_from("abcdef"), max_size=3),
    nodes=st.lists(trees(TEXTS | UNWRITTEN | FIXED_FACTS | ROW_FACTS), min_size=1, max_size=4),
)
async def test_both_find_what_matches_by_definition(fts, steps, rows, unseen, nodes):
    """Also with messages that the index does not hold yet: `unseen`."""
    user, memory, kept = f"user{next(users)}", MemorySearchIndex(), {}
    for step in steps:  # a document to add, or a name to remove
        made = document(step, user=user) if isinstance(step, str) else document(user=user, **step)
        kept.pop(made.message_id, None)
        for index in (memory, fts):
            await index.remove(user, made.message_id)
            if not isinstance(step, str):
                kept[made.message_id] = made
                if step["name"] not in unseen:
                    await index.add(made)
    listed = {made.message_id: row(made, **rows[n % 6]) for n, made in enumerate(kept.values())}
    lacking = [made for made in kept.values() if made.message_id in ids(*unseen)]
    unindexed = Unindexed(
        rows={made.message_id: listed[made.message_id] for made in lacking},
        documents={made.message_id: SearchedDocument(made) for made in lacking},
    )
    by_date = sorted(kept.values(), key=lambda made: (made.received_at_ms, made.message_id))
    for node in nodes:
        truth = [
            {id_ for id_, made in kept.items()
             if matches(tier, SearchedDocument(made), facts_of(listed[id_]))}
            for tier in (node, *tiers(node))
        ]  # fmt: skip
        assert set().union(*truth[1:]) == truth[0]
        assert sum(map(len, truth[1:])) == len(truth[0]), "tiers share a match"
        expected = [made.message_id for made in reversed(by_date) if made.message_id in truth[0]]
        relevant = [
            made.message_id
            for tier in truth[1:]
            for made in reversed(by_date)
            if made.message_id in tier
        ]
        query = query_of(node)
        for index in (memory, fts):
            for looked_at, order, hoped in (
                (100, "date", expected),
                (2, "date", expected),
                (100, "relevance", relevant),
            ):
                found = await hits(
                    index, query, rows=listed.values(), user=user, limit=3, order=order,
                    examined_max=looked_at, unindexed=unindexed,
                )  # fmt: skip
                assert found == hoped

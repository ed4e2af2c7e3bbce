"""Both search indexes against the contract, and against each other."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stores.memory_search import MemorySearchIndex
from tests.contracts.search_index import SearchIndexContract, document, find

WORDS = (
    *("Crème", "creme", "Łódź", "naïve", "bob.li@example.org", "x" * 70, "don't"),
    *("한국어", "한국", "어", "국어", "회의록", "서울2024년"),
    *("日本語", "本語", "テスト", "ﾃｽﾄ", "食べる", "北京开会", "京开"),
    *("2024", "10:30", "🎉", "—", "İstanbul", "и̑", "हिन्दी"),
)
TEXT = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join) | st.text(max_size=12)
TERM = st.tuples(
    st.sampled_from(["", "", "subject:", "from:"]),
    st.sampled_from(WORDS)
    | st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(
        lambda words: f'"{" ".join(words)}"'
    ),
).map("".join)
QUERY = st.lists(TERM, min_size=1, max_size=3).map(" ".join)
DOCUMENT = st.fixed_dictionaries(
    {"name": st.sampled_from("abcdef"), "at": st.integers(0, 3)},
    optional={"subject": TEXT, "sender": TEXT, "body": TEXT, "filenames": TEXT},
)
STEP = DOCUMENT | st.sampled_from("abcdef")  # a document to add, or a name to remove
users = itertools.count()


class TestMemorySearch(SearchIndexContract):
    @pytest.fixture
    def index(self):
        return MemorySearchIndex()


class TestFts(SearchIndexContract):
    @pytest.fixture
    def index(self, fts):
        return fts


async def outcome(index, query, user):
    """What is found, or the class and text of the refusal."""
    try:
        return await find(index, query, user=user)
    except Exception as error:  # noqa: BLE001 compared with the other adapter's
        return type(error), str(error)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEP, max_size=10), queries=st.lists(QUERY, min_size=1, max_size=6))
async def test_the_two_agree_on_everything(fts, steps, queries):
    memory = MemorySearchIndex()
    user = f"user{next(users)}"
    for step in steps:
        for index in (memory, fts):
            if isinstance(step, str):
                await index.remove(user, document(step).message_id)
            else:
                await index.add(document(**step, user=user))
    for query in queries:
        assert await outcome(fts, query, user) == await outcome(memory, query, user), query

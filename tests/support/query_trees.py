"""Hypothesis strategies for query trees, index documents and message rows."""

from hypothesis import strategies as st

from mail.query.tokenizer import pieces
from mail.query.tree import (
    ID_FIELDS,
    SEARCHED_FIELDS,
    And,
    HasAttachment,
    HasKeyword,
    HasState,
    InFolder,
    LargerThan,
    MessageIn,
    Not,
    Or,
    ReceivedBefore,
    RelatedTo,
    SentBefore,
    WordsNode,
    containing,
    header_with,
    simplified,
)
from schemas.mailbox import FLAGGED, SEEN
from tests.contracts.search_cases import ids

SAMPLES = (
    *("Crème", "creme", "Łódź", "naïve", "bob.li@example.org", "x" * 70, "don't", "bob", "b"),
    *("한국어", "한국", "어", "국어", "회의록", "서울2024년"),
    *("日本語", "本語", "テスト", "ﾃｽﾄ", "食べる", "北京开会", "京开", "京"),
    *("2024", "10:30", "🎉", "—", "İstanbul", "и̑", "हिन्दी", "ประชุม", "OR", "-not", "x*"),
)
TEXT = st.lists(st.sampled_from(SAMPLES), max_size=6).map(" ".join) | st.text(max_size=12)
HEADER_NAMES = st.sampled_from(["list-id", "x-spam", "subject"])
MAIL_IDS = st.sampled_from(["a@x", "b@x", "c@x"])
DAYS = st.integers(-1, 2)
MOMENTS = st.integers(0, 3)
SIZES = st.integers(0, 9)
DOCUMENT = st.fixed_dictionaries(
    {"name": st.sampled_from("abcdef"), "at": MOMENTS},
    optional=dict.fromkeys(SEARCHED_FIELDS, TEXT)
    | {
        "size_bytes": SIZES,
        "has_attachments": st.booleans(),
        "headers": st.lists(st.tuples(HEADER_NAMES, TEXT), max_size=3).map(tuple),
        "header_ids": st.dictionaries(
            st.sampled_from(ID_FIELDS), st.lists(MAIL_IDS, max_size=2).map(tuple)
        ),
        "sent_day": st.none() | DAYS,
    },
)
ROW = st.fixed_dictionaries(
    {
        "folders": st.sampled_from([("inbox",), ("junk",), ("inbox", "archive")]),
        "keywords": st.lists(st.sampled_from([SEEN, FLAGGED, "work"]), unique=True),
    }
)
WORDS = st.builds(
    WordsNode,
    TEXT.map(lambda text: tuple(pieces(text)[:3])).filter(bool),
    st.sampled_from([None, None, *SEARCHED_FIELDS]),
    st.booleans(),
)
# A part of a text: what a person types, or any part of what a document may hold.
PARTS = st.builds(lambda text, a, b: text[a : a + b], TEXT, st.integers(0, 9), st.integers(1, 9))
CONTAINED = st.builds(containing, PARTS, st.sampled_from([None, None, *SEARCHED_FIELDS]))
IN_HEADERS = st.builds(header_with, HEADER_NAMES, st.just("") | PARTS)
TEXTS = st.one_of(
    WORDS, CONTAINED, IN_HEADERS, st.builds(RelatedTo, MAIL_IDS), st.builds(SentBefore, DAYS)
)
# Leaves that the search language cannot express.
UNWRITTEN = st.one_of(
    st.builds(lambda text: header_with("", text), PARTS),
    st.builds(RelatedTo, MAIL_IDS, st.sampled_from(ID_FIELDS)),
    st.builds(lambda names: MessageIn(tuple(ids(*names))), st.sets(st.sampled_from("abcdefg"))),
)
FIXED_FACTS = st.one_of(
    st.builds(ReceivedBefore, MOMENTS), st.builds(LargerThan, SIZES), st.just(HasAttachment())
)
ROW_FACTS = st.one_of(
    st.builds(InFolder, st.sampled_from(["inbox", "junk", "archive", "trash"])),
    st.builds(HasState, st.sampled_from(["unread", "flagged"])),
    st.builds(HasKeyword, st.sampled_from(["work", "$answered"])),
)


def trees(leaves: st.SearchStrategy) -> st.SearchStrategy:
    """Query trees in normal form."""
    return st.recursive(
        leaves,
        lambda parts: st.one_of(
            st.builds(Not, parts),
            st.builds(And, st.lists(parts, max_size=3).map(tuple)),
            st.builds(Or, st.lists(parts, max_size=3).map(tuple)),
        ),
        max_leaves=8,
    ).map(simplified)

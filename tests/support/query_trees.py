"""Hypothesis strategies for query trees, index documents and message rows."""

from hypothesis import strategies as st

from mail.query.tokenizer import pieces
from mail.query.tree import (
    SEARCHED_FIELDS,
    And,
    HasAttachment,
    HasState,
    InFolder,
    LargerThan,
    Not,
    Or,
    ReceivedBefore,
    WordsNode,
    simplified,
)
from schemas.mailbox import FLAGGED, SEEN

SAMPLES = (
    *("Crème", "creme", "Łódź", "naïve", "bob.li@example.org", "x" * 70, "don't", "bob", "b"),
    *("한국어", "한국", "어", "국어", "회의록", "서울2024년"),
    *("日本語", "本語", "テスト", "ﾃｽﾄ", "食べる", "北京开会", "京开", "京"),
    *("2024", "10:30", "🎉", "—", "İstanbul", "и̑", "हिन्दी", "ประชุม", "OR", "-not", "x*"),
)
TEXT = st.lists(st.sampled_from(SAMPLES), max_size=6).map(" ".join) | st.text(max_size=12)
MOMENTS = st.integers(0, 3)
SIZES = st.integers(0, 9)
DOCUMENT = st.fixed_dictionaries(
    {"name": st.sampled_from("abcdef"), "at": MOMENTS},
    optional=dict.fromkeys(SEARCHED_FIELDS, TEXT)
    | {"size_bytes": SIZES, "has_attachments": st.booleans()},
)
ROW = st.fixed_dictionaries(
    {
        "folders": st.sampled_from([("inbox",), ("junk",), ("inbox", "archive")]),
        "keywords": st.lists(st.sampled_from([SEEN, FLAGGED]), unique=True),
    }
)
WORDS = st.builds(
    WordsNode,
    TEXT.map(lambda text: tuple(pieces(text)[:3])).filter(bool),
    st.sampled_from([None, None, *SEARCHED_FIELDS]),
    st.booleans(),
)
FIXED_FACTS = st.one_of(
    st.builds(ReceivedBefore, MOMENTS), st.builds(LargerThan, SIZES), st.just(HasAttachment())
)
ROW_FACTS = st.one_of(
    st.builds(InFolder, st.sampled_from(["inbox", "junk", "archive", "trash"])),
    st.builds(HasState, st.sampled_from(["unread", "flagged"])),
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

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.errors import BadQuery, Refused
from mail.query.formatter import format_query
from mail.query.parser import may_name_folder, parse
from mail.query.tree import (
    DEPTH_MAX,
    PARTICIPANTS,
    QUERY_MAX_CHARS,
    TERMS_MAX,
    And,
    Contains,
    HasAttachment,
    HasKeyword,
    HasState,
    HeaderContains,
    InFolder,
    LargerThan,
    Not,
    Or,
    QueryContext,
    ReceivedBefore,
    RelatedTo,
    SentBefore,
    WordsNode,
    leaves,
    phrase,
    simplified,
)
from mail.query.values import age_ms, moment_ms, size_bytes, zone_of
from tests.contracts.search_cases import at
from tests.support.query_trees import FIXED_FACTS, ROW_FACTS, TEXTS, trees

NOW_MS = at(2026, 3, 31, 12)
CONTEXT = QueryContext(
    now_ms=NOW_MS, folders={"inbox": ("inbox",), "projects": ("f1", "f2"), "grosse": ("f3",)}
)
A, B, C = WordsNode(("a",)), WordsNode(("b",)), WordsNode(("c",))


def read(query: str):
    return parse(query, CONTEXT).node


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("hello  World", And((WordsNode(("hello",)), WordsNode(("world",))))),
        ('"two words" a', And((WordsNode(("two", "words")), A))),
        ("“two words”", WordsNode(("two", "words"))),
        ("(a b", And((A, B))),
        ("a b)", And((A, B))),
        ("a :) b", And((A, B))),
        ("a ((b OR c)", And((A, Or((B, C))))),
        ("a (b OR c)) OR b", And((A, Or((B, C))))),
        ("a () ( ( ) ) b", And((A, B))),
        ('a "(" b )', And((A, B))),
        ("bob@example.org", WordsNode(("bob", "example", "org"))),
        ("회의록", WordsNode(("회의록",))),
        ("회의*", WordsNode(("회의",))),
        ("subject:hello", WordsNode(("hello",), "subject")),
        ('Subject:"two words"', WordsNode(("two", "words"), "subject")),
        ("from:bob.li", WordsNode(("bob", "li"), "sender")),
        ("filename:a.pdf", WordsNode(("a", "pdf"), "filenames")),
        ("subject：회의", WordsNode(("회의",), "subject")),
        ("invoi*", WordsNode(("invoi",), prefix=True)),
        ('"a b"*', WordsNode(("a", "b"), prefix=True)),
        ("*.pdf a.* * **", And((WordsNode(("pdf",)), A))),
        ("a 🎉 — b", And((A, B))),
        ("a -🎉 (—) b", And((A, B))),
        ("a OR 🎉", A),
        ("a b OR c", And((A, Or((B, C))))),
        ("a OR b OR c", Or((A, B, C))),
        ("a AND b", And((A, B))),
        ("a (b c)", And((A, B, C))),
        ("(a b) OR c", Or((And((A, B)), C))),
        ("-a", Not(A)),
        ("NOT a", Not(A)),
        ("-(a b)", Not(And((A, B)))),
        ("-(-a)", A),
        ("a a", A),
        ("a-b --a - a", And((WordsNode(("a", "b")), A))),
        ("or and not", And((WordsNode(("or",)), WordsNode(("and",)), WordsNode(("not",))))),
        ("ORa", WordsNode(("ora",))),
        (
            "subject:(a OR -b)",
            Or((WordsNode(("a",), "subject"), Not(WordsNode(("b",), "subject")))),
        ),
        ("subject:OR", WordsNode(("or",), "subject")),
        ("Re: budget", And((WordsNode(("re",)), WordsNode(("budget",))))),
        ("10:30", WordsNode(("10", "30"))),
        ("https://a.example/b", WordsNode(("https", "a", "example", "b"))),
        ("mailto:a@b.example", WordsNode(("mailto", "a", "b", "example"))),
        ("std::vector C:\\x", And((WordsNode(("std", "vector")), WordsNode(("c", "x"))))),
        ('"foo:bar"', WordsNode(("foo", "bar"))),
        ("in:Inbox", InFolder("inbox")),
        ('in:"Projects"', Or((InFolder("f1"), InFolder("f2")))),
        ("in:GRÖSSE", InFolder("f3")),
        ("a in:anywhere", A),
        ("is:Unread", HasState("unread")),
        ("is:read", Not(HasState("unread"))),
        ("has:attachment", HasAttachment()),
        ("larger:1.5K", LargerThan(1536)),
        ("bcc:bob", WordsNode(("bob",), "bcc")),
        ('with:"a b"*', Or(tuple(WordsNode(("a", "b"), each, True) for each in PARTICIPANTS))),
        (
            "keyword:$Forwarded -keyword:work",
            And((HasKeyword("$forwarded"), Not(HasKeyword("work")))),
        ),
        ("keyword:$seen keyword:$FLAGGED", And((Not(HasState("unread")), HasState("flagged")))),
        ("header:List-ID", HeaderContains("list-id")),
        ('header:"List-ID:  Tea <b>"', HeaderContains("list-id", "tea <b>")),
        ('header:x-a:"b C" a', And((HeaderContains("x-a", "b c"), A))),
        ("header:x-a:b:c", HeaderContains("x-a", "b:c")),
        ("header:x-a:", HeaderContains("x-a")),
        ("msgid:<a.b@c.example>", RelatedTo("a.b@c.example")),
        ("sent_before:1970-01-02", SentBefore(1)),
        ("sent_after:1969", Not(SentBefore(-365))),
        ("contains:Wertyuio", Contains("wertyuio")),
        ('contains:" é_B\t "', Contains(" e b ")),
        (
            'subject:(a OR contains:"b c")',
            Or((WordsNode(("a",), "subject"), Contains("b c", "subject"))),
        ),
        ("smaller:100", Not(LargerThan(99))),
        ("before:1970-01-01T01:00:00+01:00", ReceivedBefore(0)),
        ("after:1970-01-01T00:00:00.0015z", Not(ReceivedBefore(1))),
    ],
)
def test_query_trees(query, expected):
    assert read(query) == expected


@pytest.mark.parametrize(
    ("query", "position", "detail"),
    [
        ("", 0, "no word"),
        (" \t", 0, "no word"),
        ("🎉 —", 0, "no word"),
        ('a "b c', 2, "never closed"),
        ('subject:"b', 8, "never closed"),
        ("x subject:", 10, "subject: needs"),
        ("from: bob", 5, "from: needs"),
        ("(from:)", 6, "from: needs"),
        ("a subject:🎉", 10, "nothing to search for"),
        ('from:""', 5, "nothing to search for"),
        ("a foo:bar", 2, "subject:"),
        ("from:( b", 5, "right after it"),
        ("() :)", 0, "no word"),
        ("subject:(a from:b)", 11, "other field"),
        ("OR a", 0, "between two"),
        ("a OR", 2, "on its right"),
        ("(a OR) b", 3, "on its right"),
        ("a OR OR b", 5, "between two"),
        ("a AND", 2, "on its right"),
        ("a AND OR b", 6, "between two"),
        ("a NOT", 2, "to exclude"),
        ("-NOT", 1, "to exclude"),
        ("in*ce", 2, "end of a word"),
        ("a *voice", 2, "end of a word"),
        ("a is:red", 5, "unread, read or flagged"),
        ("in:nowhere", 3, "your folders"),
        ("has:", 4, "has: needs"),
        ("has:cheese", 4, "attachment"),
        ("before:yesterday", 7, "2026-11-24"),
        ("before:2026-02-30", 7, "2026-11-24"),
        ("after:2026-1/2", 6, "2026-11-24"),
        ("after:٢٠٢٦", 6, "2026-11-24"),
        ("older_than:7", 11, "7d"),
        ("newer_than:99999y", 11, "7d"),
        ("larger:5T", 7, "5M"),
        ("smaller:-1", 8, "5M"),
        ("header:é", 7, "header field"),
        ('header:""', 7, "header field"),
        ('contains:""', 9, "a text"),
        ("keyword:a*", 8, "a keyword"),
        ("msgid:<>", 6, "Message-ID"),
        ("sent_before:2026-11-24T10:00:00Z", 12, "2026-11-24"),
        ("is:(contains:a)", 4, "other field"),
        ("(" * (DEPTH_MAX + 1) + "a" + ")" * (DEPTH_MAX + 1), DEPTH_MAX, "within each other"),
        ("NOT " * (DEPTH_MAX + 1) + "a", 4 * DEPTH_MAX, "within each other"),
        ("x" * (QUERY_MAX_CHARS + 1), QUERY_MAX_CHARS, str(QUERY_MAX_CHARS)),
        ("x " * (TERMS_MAX + 1), 2 * TERMS_MAX, str(TERMS_MAX)),
    ],
)
def test_a_malformed_query_is_refused_with_position_and_detail(query, position, detail):
    with pytest.raises(BadQuery) as caught:
        read(query)
    assert caught.value.position == position
    assert detail in caught.value.detail


def test_a_query_at_the_limits_is_accepted():
    distinct = " ".join(f"x{n}" for n in range(TERMS_MAX))
    assert len(list(leaves(read(distinct)))) == TERMS_MAX
    assert read("x" * QUERY_MAX_CHARS)
    assert read("(" * DEPTH_MAX + "a" + ")" * DEPTH_MAX) == A


PARTS = st.sampled_from(
    [
        *'ab :"“한🎉\\*-()',
        " OR ",
        " AND ",
        "NOT ",
        "in:",
        "header:x:",
        "contains:",
        "keyword:",
        "is:read",
        "before:2026-11",
        "larger:7",
    ]
)


@given(st.text(max_size=60) | st.lists(PARTS, max_size=30).map("".join))
def test_any_query_is_read_or_refused_within_itself(query):
    refused = None
    try:
        node = read(query)
    except BadQuery as error:
        refused = error
    if refused:
        assert 0 <= refused.position <= len(query)
        assert refused.detail
    else:
        assert simplified(node) == node
        assert all(phrase(leaf)[0] for leaf in leaves(node) if isinstance(leaf, WordsNode))
        text = "" if '"' in repr(node) else format_query(node)
        if not text:
            return
        if len(text) <= QUERY_MAX_CHARS:
            assert read(text) == node


@given(trees(TEXTS | FIXED_FACTS | ROW_FACTS).filter(lambda node: '"' not in repr(node)))
def test_a_formatted_tree_is_parsed_to_the_same_tree(node):
    context = QueryContext(now_ms=NOW_MS)
    assert parse(format_query(node), context).node == node


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-11-24", "UTC", at(2026, 11, 24)),
        ("2026/11/4", "UTC", at(2026, 11, 4)),
        ("2026-11", "Europe/Berlin", at(2026, 10, 31, 23)),
        ("2026", "Asia/Seoul", at(2025, 12, 31, 15)),
        ("2026-07-01", "America/New_York", at(2026, 7, 1, 4)),
        ("2025-09-07", "America/Santiago", at(2025, 9, 7, 4)),  # a day without a midnight
        ("0001-01-01", "Asia/Seoul", None),
        ("0000-01-01", "UTC", None),
        ("2026-13", "UTC", None),
    ],
)
def test_a_day_begins_at_midnight_in_its_time_zone(text, zone, expected):
    assert moment_ms(text, zone_of(zone)) == expected


@pytest.mark.parametrize(
    ("age", "zone", "expected"),
    [
        ("7d", "UTC", at(2026, 3, 24, 12)),
        ("2W", "UTC", at(2026, 3, 17, 12)),
        ("1m", "UTC", at(2026, 2, 28, 12)),
        ("1y", "UTC", at(2025, 3, 31, 12)),
        ("13m", "UTC", at(2025, 2, 28, 12)),
        ("0d", "UTC", at(2026, 3, 31, 12)),
        ("7d", "Europe/Berlin", at(2026, 3, 24, 13)),  # clocks went forward meanwhile
        ("3000y", "UTC", None),
        ("7h", "UTC", None),
    ],
)
def test_ages_are_counted_by_the_calendar(age, zone, expected):
    assert age_ms(age, NOW_MS, zone_of(zone)) == expected


def test_sizes():
    sizes = {"0": 0, "5k": 5120, "5KiB": 5120, "2M": 2 << 20, "0.5g": 1 << 29, "1.000001m": 1048577}
    assert {text: size_bytes(text) for text in sizes} == sizes
    assert [size_bytes(text) for text in ("", "M", "1.M", "1e3", "1 M", "٥")] == [None] * 6


@pytest.mark.parametrize(
    "name",
    ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe", "x" * 65, "a\0b", "é"],
)
def test_an_unknown_time_zone_is_refused(name):
    with pytest.raises(Refused):
        zone_of(name)


@pytest.mark.parametrize(
    "text", ["in:work", "a -IN:work", "(from:kim OR in：work)", 'in:"my work"', "begin:x"]
)
def test_folders_are_read_for_a_query_that_may_name_one(text: str) -> None:
    assert may_name_folder(text)


@pytest.mark.parametrize("text", ["invoice in May", "from:kim is:unread", "inbox"])
def test_folders_are_not_read_for_other_queries(text: str) -> None:
    assert not may_name_folder(text)

"""Messages on the wire: for every content in any pieces, a client gets back what was stored."""

from hypothesis import given
from hypothesis import strategies as st

from mail.dot_stuffing import DotStuffing
from pop3.wire_format import LineEnds, TopCut

WORDS = st.sampled_from([b"\r\n", b"\n", b"\r", b".", b"..", b"a", b"\r\n.\r\n", b"x: y\r\n"])
CONTENTS = st.lists(WORDS, max_size=30).map(b"".join)
CUTS = st.lists(st.integers(1, 5), min_size=1, max_size=5)


def pieces(content: bytes, sizes: list[int]) -> list[bytes]:
    found, turn = [], 0
    while content:
        size = sizes[turn % len(sizes)]
        found.append(content[:size])
        content, turn = content[size:], turn + 1
    return found


def sent(content: bytes, sizes: list[int], cut: TopCut | None = None) -> bytes:
    ends, stuffing, wire = LineEnds(), DotStuffing(), b""
    for piece in pieces(content, sizes):
        data = ends.feed(piece)
        wire += stuffing.feed(cut.feed(data) if cut else data)
    rest = ends.end()
    return wire + stuffing.feed(cut.feed(rest) if cut else rest) + stuffing.end()


def received(wire: bytes) -> bytes:
    """What a client of RFC 1939 §3 reads, line by line."""
    lines = wire.split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    assert b"." not in lines[:-2], "the message ends before its end"
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:-2])


def with_crlf(content: bytes) -> bytes:
    text = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return text if text.endswith(b"\r\n") or not text else text + b"\r\n"


@given(CONTENTS, CUTS)
def test_a_client_gets_the_content_with_crlf(content: bytes, sizes: list[int]) -> None:
    assert received(sent(content, sizes)) == with_crlf(content)


@given(CONTENTS, CUTS, st.integers(0, 6))
def test_top_is_the_header_and_the_first_lines(content: bytes, sizes: list[int], n: int) -> None:
    lines = with_crlf(content).split(b"\r\n")[:-1]
    header = lines.index(b"") + 1 if b"" in lines else len(lines)
    expected = b"".join(line + b"\r\n" for line in lines[: header + n])
    assert received(sent(content, sizes, TopCut(n))) == expected


def test_top_says_when_later_pieces_add_nothing() -> None:
    cut = TopCut(1)
    assert cut.feed(b"a: b\r\n\r\n1\r\n2\r\n") == b"a: b\r\n\r\n1\r\n"
    assert cut.is_complete
    assert cut.feed(b"3\r\n") == b""

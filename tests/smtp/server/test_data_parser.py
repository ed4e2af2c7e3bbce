"""Data parser: end of mail, dot stuffing and line ends, for all ways to split the data."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtp.server.data_parser import END, ChunkedMailReader, DataFault, DataReader

LINE_MAX_BYTES = 24
MAX_BYTES = 200


def read(chunks: list[bytes], **limits: int) -> DataReader:
    reader = DataReader(
        b"",
        **{"max_bytes": MAX_BYTES, "line_max_bytes": LINE_MAX_BYTES, "received_max": 2, **limits},
    )
    for at, chunk in enumerate(chunks):
        reader.feed(chunk)
        if reader.ended or reader.cut:
            reader.rest += b"".join(chunks[at + 1 :])
            break
    return reader


def outcome(reader: DataReader) -> tuple:
    if reader.cut:
        return ("cut",)
    return (reader.ended, reader.fault, reader.content(), reader.rest)


def reference(wire: bytes) -> tuple:
    """A slow reference parser: RFC 5321 §4.5.2 line by line."""
    body, _, rest = (b"\r\n" + wire).partition(END)
    if len(body) > 2 * MAX_BYTES - 2:  # the body's own CR LF counts too
        return ("cut",)
    lines = (body + b"\r\n").split(b"\r\n")[1:-1]
    lines = [line.removeprefix(b".") for line in lines]
    content = b"".join(line + b"\r\n" for line in lines)
    header = lines[: lines.index(b"")] if b"" in lines else lines
    fault = None
    if len(content) > MAX_BYTES:
        fault = DataFault.TOO_BIG
    elif any(b"\r" in line or b"\n" in line for line in lines):
        fault = DataFault.BARE
    elif any(len(line) > LINE_MAX_BYTES for line in lines):
        fault = DataFault.LONG_LINE
    elif sum(line.lower().startswith(b"received:") for line in header) > 2:
        fault = DataFault.LOOP
    return (True, fault, b"" if fault else content, rest)


WORDS = [b"\r\n", b"\r\n", b".", b"..", b"a", b"Received: x\r\n", b"\r\n\r\n", b"QUIT", b"b" * 20]
BROKEN = [*WORDS, b"\r", b"\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r"]


def wires(words: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(words), max_size=60).map(b"".join).map(lambda w: w + END)


@given(wire=st.one_of(wires(WORDS), wires(BROKEN)), data=st.data())
def test_any_split_reads_as_the_reference(wire, data):
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=12).map(sorted))
    edges = [0, *cuts, len(wire)]
    chunks = [wire[a:b] for a, b in itertools.pairwise(edges)]
    expected = reference(wire)
    assert outcome(read(chunks)) == expected
    assert outcome(read([wire])) == expected
    assert outcome(read([bytes([byte]) for byte in wire])) == expected


@given(words=st.lists(st.sampled_from(BROKEN), max_size=40), data=st.data())
def test_chunks_have_the_checks_of_data(words, data):
    octets = b"".join(words) + b"\r\n"
    stuffed = (b"\r\n" + octets).replace(b"\r\n.", b"\r\n..")[2:]
    expected = reference(stuffed + b".\r\n")
    cuts = data.draw(st.lists(st.integers(0, len(octets)), max_size=12).map(sorted))
    for edges in ([0, *cuts, len(octets)], range(len(octets) + 1)):
        reader = ChunkedMailReader(
            b"", max_bytes=MAX_BYTES, line_max_bytes=LINE_MAX_BYTES, received_max=2
        )
        for start, end in itertools.pairwise(edges):
            reader.feed(octets[start:end])
        reader.finish()
        if len(expected) > 1 and not reader.cut:
            assert (reader.fault, reader.content()) == expected[1:3]


@pytest.mark.parametrize(
    "ending",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\r\n\x00.\r\n",
        b"\n.\r",
    ],
)
def test_what_looks_like_an_ending_ends_nothing(ending):
    reader = read([b"Subject: x\r\n\r\nhi", ending, b"MAIL FROM:<evil@x>\r\n"])
    assert not reader.ended
    reader.feed(END)
    assert reader.ended
    assert reader.rest == b""
    if ending != b"\r\n\x00.\r\n":
        assert reader.fault is DataFault.BARE
        assert reader.content() == b""


def test_the_limits_are_exact():
    line = b"x" * LINE_MAX_BYTES
    for split in range(len(line) + 6):
        wire = line + END
        assert read([wire[:split], wire[split:]]).fault is None
        wire = b"y" + line + END
        assert read([wire[:split], wire[split:]]).fault is DataFault.LONG_LINE
    whole = (b"x" * 18 + b"\r\n") * 10
    assert read([whole + b".\r\n"], line_max_bytes=1024).content() == whole
    assert read([b"x" + whole + b".\r\n"]).fault is DataFault.TOO_BIG
    assert read([b"x" * (2 * MAX_BYTES) + b"\r\n"]).cut


def test_stuffing_dots_are_not_counted():
    whole = b"..\r\n" * (MAX_BYTES // 3)
    assert read([whole + b".\r\n"]).fault is None

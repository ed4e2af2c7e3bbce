"""Octets that may be sent: the verdict does not depend on how the content is cut into chunks."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mail.sending.sendable_content import LINE_MAX_BYTES, ContentCheck, NotSendable

PIECES = st.sampled_from(
    [b"\r\n", b"\r", b"\n", b".", b"\r\n.\r\n", b"a", b" ", b"\0", b"\xe9", b"x" * 500, b"y" * 998]
)
CONTENTS = st.lists(PIECES, max_size=12).map(b"".join)


def checked(content: bytes, cuts: list[int], *, eight_bit: bool) -> bytes | str:
    check = ContentCheck(eight_bit=eight_bit)
    places = sorted({min(cut, len(content)) for cut in cuts} | {0, len(content)})
    try:
        passed = [check.feed(content[start:stop]) for start, stop in pairwise(places)]
        return b"".join(passed) + check.finish()
    except NotSendable as error:
        return error.status


def model(content: bytes, *, eight_bit: bool) -> bool:
    """Whether `content` may be sent, said in another way."""
    lines = content.split(b"\r\n")
    allowed = rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*" if not eight_bit else rb"[^\0\r\n]*"
    return all(len(line) <= LINE_MAX_BYTES and re.fullmatch(allowed, line) for line in lines)


@given(
    CONTENTS,
    st.lists(st.integers(min_value=0, max_value=4000), max_size=6),
    st.sampled_from(["7bit", "8bit"]),
)
@example(b"a\r\nb", [2], "8bit")
@example(b"a\r", [1], "8bit")
def test_what_passes_is_what_may_be_sent(content: bytes, cuts: list[int], body: str) -> None:
    result = checked(content, cuts, eight_bit=body == "8bit")
    if model(content, eight_bit=body == "8bit"):
        ended = not content or content.endswith(b"\r\n")
        assert result == (content if ended else content + b"\r\n")
    else:
        assert result in {"5.6.0", "5.6.3"}


@pytest.mark.parametrize("size", [LINE_MAX_BYTES, LINE_MAX_BYTES + 1])
def test_a_line_has_at_most_998_octets_also_across_chunks(size: int) -> None:
    result = checked(b"x" * size + b"\r\n", list(range(0, size, 7)), eight_bit=True)
    assert (result == "5.6.0") == (size > LINE_MAX_BYTES)

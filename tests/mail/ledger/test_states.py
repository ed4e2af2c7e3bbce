"""Ledger rules: the Message-ID of an unparsed mail, and hashes for look-ups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.ledger.states import message_id_header, short_hash


@pytest.mark.parametrize(
    ("content", "message_id"),
    [
        (b"Message-ID: <a@b.example>\r\nSubject: x\r\n\r\nbody", "a@b.example"),
        (b"Subject: x\r\nmessage-id:<a@b>\r\n\r\n", "a@b"),
        (b"Subject: no end of the header\r\nMessage-Id: <a@b>", "a@b"),
        (b"Subject: x\r\n\r\nMessage-ID: <in@the.body>\r\n", ""),
        (b"X-Message-ID: <a@b>\r\n\r\n", ""),
        (b"Message-ID: without brackets\r\n\r\n", ""),
        (b"", ""),
    ],
)
def test_the_message_id_is_that_of_the_header(content: bytes, message_id: str) -> None:
    assert message_id_header(content) == message_id


@given(st.text())
def test_a_hash_fits_a_signed_column(text: str) -> None:
    assert 0 <= short_hash(text) < 2**63
    assert short_hash(text) == short_hash(text)


def test_hashes_of_similar_texts_differ() -> None:
    """A constant would make every look-up read the whole ledger."""
    assert len({short_hash(f"m{n}@example.org") for n in range(10_000)}) == 10_000

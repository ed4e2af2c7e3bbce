"""Signed reverse-paths: only those that were made here, unchanged and not expired, are ours."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.addresses import split_address
from mail.clock import DAY_MS
from mail.ids import MailId, new_id
from mail.sending.reverse_path import VALID_DAYS, ReversePaths, is_bounce_address

KEY, OTHER = b"k" * 32, b"o" * 32
PATHS = ReversePaths([KEY])
NOW_MS = 1_900_000_000_000
UUIDS = st.uuids().map(str)


@given(UUIDS, st.integers(min_value=0, max_value=VALID_DAYS * DAY_MS - DAY_MS))
def test_a_bounce_finds_its_mail_until_it_expires(mail_id: str, later_ms: int) -> None:
    address = PATHS.make(MailId(mail_id), "example.com", now_ms=NOW_MS)
    split_address(address)  # a mailbox of RFC 5321, within its lengths
    assert is_bounce_address(address)
    assert PATHS.mail_of(address, now_ms=NOW_MS + later_ms) == mail_id
    assert PATHS.mail_of(address.upper(), now_ms=NOW_MS) == mail_id  # a server changed the case
    assert PATHS.mail_of(address, now_ms=NOW_MS + (VALID_DAYS + 1) * DAY_MS) is None


@given(UUIDS, st.data())
def test_an_altered_address_is_not_ours(mail_id: str, data: st.DataObject) -> None:
    address = PATHS.make(MailId(mail_id), "example.com", now_ms=NOW_MS)
    place = data.draw(st.integers(min_value=7, max_value=address.index("@") - 2))
    other = data.draw(
        st.sampled_from(string.ascii_lowercase + "234567").filter(
            lambda character: character != address[place]
        )
    )
    altered = address[:place] + other + address[place + 1 :]
    assert PATHS.mail_of(altered, now_ms=NOW_MS) is None


@given(st.text(max_size=80))
def test_other_text_is_not_ours(text: str) -> None:
    assert PATHS.mail_of(text, now_ms=NOW_MS) is None
    assert PATHS.mail_of(f"bounce+{text}@example.com", now_ms=NOW_MS) is None


def test_a_reverse_path_belongs_to_its_domain_and_key() -> None:
    address = PATHS.make(MailId(new_id()), "example.com", now_ms=NOW_MS)
    assert PATHS.mail_of(address.replace("example.com", "example.org"), now_ms=NOW_MS) is None
    assert ReversePaths([OTHER]).mail_of(address, now_ms=NOW_MS) is None
    assert ReversePaths([OTHER, KEY]).mail_of(address, now_ms=NOW_MS) is not None  # rotation


def test_a_short_key_is_refused() -> None:
    for keys in ([], [b"short"], [KEY, b""]):
        with pytest.raises(ValueError):
            ReversePaths(keys)

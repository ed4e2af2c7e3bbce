"""Addresses as users write them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.addresses import split_address
from mail.composing.address_input import parse_address
from mail.errors import BadAddress
from schemas.mail import EmailAddress


@pytest.mark.parametrize(
    ("written", "name", "address"),
    [
        ("bob@example.org", "", "bob@example.org"),
        ("  Bob   Lee <bob@example.org> ", "Bob Lee", "bob@example.org"),
        ("<bob@example.org>", "", "bob@example.org"),
        ("Bob<bob@example.org>", "Bob", "bob@example.org"),
        ('"Lee, \\"Bob\\"" <bob@example.org>', 'Lee, "Bob"', "bob@example.org"),
        ("Doe, Jane <jane@example.org>", "Doe, Jane", "jane@example.org"),
        ("김하늘 <하늘@예시.한국>", "김하늘", "하늘@예시.한국"),
        ('"a<b" <"x@y>"@example.org>', "a<b", '"x@y>"@example.org'),
        ('"a, b"@example.org', "", '"a, b"@example.org'),
        ("bob@[192.0.2.1]", "", "bob@[192.0.2.1]"),
    ],
)
def test_an_address(written: str, name: str, address: str) -> None:
    assert parse_address(written) == EmailAddress(name, address)


@pytest.mark.parametrize(
    ("written", "detail"),
    [
        ("", "missing"),
        ("bob", "local-part@domain"),
        ("a@example.org, b@example.org", "one address"),
        ("a@example.org; b@example.org", "one address"),
        ("a@example.org <b@example.org", "as: Bob"),
        ("Friends: a@example.org, b@example.org;", "groups"),
        ("undisclosed-recipients:;", "groups"),
        ("Friends: Bob <b@example.org>", "groups"),
        ("<a@example.org> <b@example.org>", "as: Bob"),
        ("Bob <bob@example.org> x", "as: Bob"),
        ("Bob <>", "local-part@domain"),
        ("Bob <bob@example.org\r\nBcc: x@y.example>", "line ends"),
        ("Bob\x00 <bob@example.org>", "control"),
        ("Bob\u2028 <bob@example.org>", "line ends"),
        ("x" * 201 + " <bob@example.org>", "200 characters"),
        ("x" * 1001, "1000 characters"),
        ("bob@exa mple.org", "domain"),
        ("bob=?utf-8?b?DQpYLUV2aWw6IDE=?=@example.org", "encoded words"),
        ('Bob <"=?utf-8?Q?=0D=0AX-Evil:_1?="@example.org>', "encoded words"),
    ],
)
def test_what_is_no_address_gets_a_reason(written: str, detail: str) -> None:
    with pytest.raises(BadAddress, match=detail):
        parse_address(written)


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with contextlib.suppress(BadAddress):
        split_address(parse_address(text).address)

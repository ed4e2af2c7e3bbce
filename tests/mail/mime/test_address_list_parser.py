"""Address lists with the mistakes that senders make."""

import pytest

from mail.mime.address_list_parser import parse_address_list
from mail.mime.message_parser import read_head


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Acme Garden, Inc. <s@x>", [("Acme Garden, Inc.", "s@x")]),
        ("Lee, Kim <k@x>, Bob <b@x>", [("Lee, Kim", "k@x"), ("Bob", "b@x")]),
        ("A, B, C <s@x>", [("A, B, C", "s@x")]),
        ("Kim, k@x", [("Kim", "k@x")]),
        ("Kim, <k@x>", [("Kim", "k@x")]),
        ("a@x, Lee, Kim <k@x>", [("", "a@x"), ("Lee, Kim", "k@x")]),
        ('"Lee, Kim" <k@x>, b@x', [("Lee, Kim", "k@x"), ("", "b@x")]),
        ("=?utf-8?q?Acme=2C?= Garden, Inc. <s@x>", [("Acme, Garden, Inc.", "s@x")]),
        ("k@x, Kim", [("", "k@x"), ("Kim", "")]),
        ("Kim, Lee", [("Kim", ""), ("Lee", "")]),
        ("Team: Lee, Kim <k@x>;, b@x", [("Lee, Kim", "k@x"), ("", "b@x")]),
        ("Team: Kim; Lee <l@x>", [("Kim", ""), ("Lee", "l@x")]),
        ("undisclosed-recipients:;", []),
        ("Re: Sales <s@x>", [("Re: Sales", "s@x")]),
        ("Support: <s@x>", [("Support:", "s@x")]),
        ("mailto:s@x", [("", "s@x")]),
        ("Team: a@x, b@x", [("Team", "a@x"), ("", "b@x")]),
        ("k@[IPv6:::1]", [("", "k@[IPv6:::1]")]),
    ],
)
def test_names_and_addresses(written: str, expected: list[tuple[str, str]]) -> None:
    addresses = parse_address_list([written.encode()])
    assert [(address.name, address.address) for address in addresses] == expected


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("Acme Garden, Inc. <s@x>", "s@x"),
        ("Nobody in Particular; Kim <k@x>", "k@x"),
        ("(none), <>, k@x", "k@x"),
        ("Kim", ""),
    ],
)
def test_the_sender_is_the_first_mailbox_with_an_address(written: str, address: str) -> None:
    sender = read_head(f"From: {written}\r\n\r\n".encode()).sender
    assert sender
    assert sender.address == address

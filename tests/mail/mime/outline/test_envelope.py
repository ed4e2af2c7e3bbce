"""Envelopes: the fields of RFC 9051 §7.5.2, raw and decoded, of usual and of broken headers."""

import msgspec
import pytest

from mail.mime.outline.builder import OUTLINE_MAX_BYTES, outline_of
from mail.mime.outline.envelope import ADDRESSES_MAX, FIELD_MAX_BYTES, FIELDS_MAX_BYTES
from schemas.outline import OutlineAddress, OutlineEnvelope

GROUP_END = OutlineAddress("", "", group="end")


def envelope(header: bytes) -> OutlineEnvelope:
    found = outline_of(header + b"\r\nhi").parts[0].envelope
    assert found is not None
    return found


def group(name: str) -> OutlineAddress:
    return OutlineAddress(name, "", group="start")


def raw(header: bytes, name: str) -> list[bytes]:
    return [field.value for field in envelope(header).fields if field.name == name]


def test_all_fields() -> None:
    found = envelope(
        b"Message-ID: <1@x>\r\nIn-Reply-To: <0@x>\r\nDate: Sat, 01 Feb 2025 01:02:03 +0230\r\n"
        b"Subject: four\r\n o'clock\r\nFrom: Ann <a@x.test>\r\nSender: s@x.test\r\nX-A: b\r\n"
        b"Reply-To: r@x.test\r\nTo: t@x.test\r\nCc: c@x.test, d@x.test\r\nBcc: b@x.test\r\n"
    )
    assert [field.name for field in found.fields] == [
        "message-id", "in-reply-to", "date", "subject", "from", "sender", "reply-to", "to", "cc",
        "bcc",
    ]  # fmt: skip
    assert found.subject == "four o'clock"
    assert (found.sent_at_ms, found.sent_zone_min) == (1738362723000, 150)
    assert found.ids == {"message-id": ("1@x",), "in-reply-to": ("0@x",)}
    assert found.addresses == {
        "from": (OutlineAddress("Ann", "a@x.test"),),
        "sender": (OutlineAddress("", "s@x.test"),),
        "reply-to": (OutlineAddress("", "r@x.test"),),
        "to": (OutlineAddress("", "t@x.test"),),
        "cc": (OutlineAddress("", "c@x.test"), OutlineAddress("", "d@x.test")),
        "bcc": (OutlineAddress("", "b@x.test"),),
    }
    assert not found.cut


def test_a_missing_field_has_no_key_and_an_empty_field_has_no_entries() -> None:
    found = envelope(b"Sender: \r\nReply-To:\r\nX-A: b\r\n")
    assert found.addresses == {"sender": (), "reply-to": ()}
    assert (found.subject, found.ids, found.sent_at_ms, found.sent_zone_min) == ("", {}, None, None)


def test_groups_are_kept() -> None:
    found = envelope(b"To: team: g1@x.test, G <g2@x.test>;, other: g3@x.test;, last@x.test\r\n")
    assert found.addresses["to"] == (
        group("team"), OutlineAddress("", "g1@x.test"), OutlineAddress("G", "g2@x.test"), GROUP_END,
        group("other"), OutlineAddress("", "g3@x.test"), GROUP_END,
        OutlineAddress("", "last@x.test"),
    )  # fmt: skip


@pytest.mark.parametrize("value", [b"undisclosed-recipients:;", b"undisclosed-recipients: ;"])
def test_an_empty_group(value: bytes) -> None:
    found = envelope(b"To: " + value + b"\r\n")
    assert found.addresses["to"] == (group("undisclosed-recipients"), GROUP_END)


def test_a_group_in_a_group_ends_the_first() -> None:
    found = envelope(b"To: a: b: c@x.test;\r\n")
    assert [entry.group for entry in found.addresses["to"]] == ["start", "end", "start", "", "end"]


def test_a_source_route() -> None:
    found = envelope(b"From: <@a.test,@b.test:user@x.test>\r\n")
    assert found.addresses["from"] == (OutlineAddress("", "user@x.test", route="@a.test,@b.test"),)


def test_encoded_names_are_kept_as_sent_and_decoded() -> None:
    found = envelope(b'From: =?utf-8?q?Caf=C3=A9?= <a@x.test>, "Doe, J" <j@x.test>\r\n')
    assert found.addresses["from"] == (
        OutlineAddress("Café", "a@x.test", "=?utf-8?q?Caf=C3=A9?="),
        OutlineAddress("Doe, J", "j@x.test"),
    )


def test_a_long_encoded_name_is_not_cut_before_its_end() -> None:
    words = b" ".join([b"=?utf-8?b?4oKs4oKs4oKs4oKs4oKs4oKs4oKs4oKs?="] * 10)
    (entry,) = envelope(b"From: " + words + b" <a@x.test>\r\n").addresses["from"]
    assert (entry.name, entry.sent_name) == ("€" * 80, words.decode())


@pytest.mark.parametrize(
    ("octets", "text"),
    [("Grüße".encode(), "Grüße"), ("Grüße".encode("latin-1"), "Grüße"), (b"\x80 5", "€ 5")],
)
def test_octets_above_127_stay_raw_and_are_decoded(octets: bytes, text: str) -> None:
    header = b"Subject: " + octets + b"\r\nFrom: " + octets + b" <a@x.test>\r\n"
    assert raw(header, "subject") == [octets]
    assert raw(header, "from") == [octets + b" <a@x.test>"]
    assert envelope(header).subject == text
    assert envelope(header).addresses["from"] == (OutlineAddress(text, "a@x.test"),)


def test_undeclared_octets_have_the_charset_of_the_text() -> None:
    header = b"Subject: " + "Привет".encode("cp1251") + b"\r\n"
    header += b"Content-Type: text/plain; charset=windows-1251\r\n"
    assert envelope(header).subject == "Привет"


@pytest.mark.parametrize(
    ("date", "zone_min"),
    [(b"1 Feb 2025 01:02:03 -0000", None), (b"1 Feb 2025 01:02:03", None),
     (b"1 Feb 2025 01:02:03 GMT", 0), (b"Sat, 1 Feb 2025 01:02:03 -0800", -480)],
)  # fmt: skip
def test_the_zone_of_a_date(date: bytes, zone_min: int | None) -> None:
    found = envelope(b"Date: " + date + b"\r\n")
    assert found.sent_at_ms is not None
    assert found.sent_zone_min == zone_min


@pytest.mark.parametrize("date", [b"yesterday", b"32 Foo 99999 25:61", b"", b"\xff", b"0" * 5000])
def test_a_broken_date_is_kept_as_sent(date: bytes) -> None:
    header = b"Date: " + date + b"\r\n"
    assert raw(header, "date") == [date]
    assert (envelope(header).sent_at_ms, envelope(header).sent_zone_min) == (None, None)


@pytest.mark.parametrize("value", [b"nobody", b"<>", b'"', b"((((", b":;:;", b"a@b@c", b"\x00"])
def test_a_broken_from_is_kept_as_sent(value: bytes) -> None:
    assert raw(b"From: " + value + b"\r\n", "from") == [value]
    assert "from" in envelope(b"From: " + value + b"\r\n").addresses


def test_repeated_fields_are_kept_and_their_addresses_joined() -> None:
    header = b"From: a@x.test\r\nSubject: 1\r\nFrom: b@x.test\r\nSubject: 2\r\n"
    assert raw(header, "from") == [b"a@x.test", b"b@x.test"]
    assert envelope(header).subject == "1"
    assert [one.address for one in envelope(header).addresses["from"]] == ["a@x.test", "b@x.test"]


def test_a_long_field_is_cut_and_the_envelope_says_so() -> None:
    long = b"To: " + b"a@x.test, " * (FIELD_MAX_BYTES // 10 + 1) + b"\r\n"
    found = envelope(long)
    assert found.cut
    assert len(found.fields[0].value) == FIELD_MAX_BYTES
    assert len(found.addresses["to"]) == FIELD_MAX_BYTES // 10 + 1


def test_the_parts_of_an_envelope_have_limits() -> None:
    many = b"".join(b"%b: %b\r\n" % (name, b"a@b, =?q?q?x?= <c@d>," * 5000) for name in (
        b"From", b"Sender", b"Reply-To", b"To", b"Cc", b"Bcc", b"Subject", b"In-Reply-To"
    ))  # fmt: skip
    found = envelope(many)
    assert found.cut
    assert sum(len(field.value) for field in found.fields) == FIELDS_MAX_BYTES
    assert all(len(entries) <= ADDRESSES_MAX for entries in found.addresses.values())
    assert len(msgspec.msgpack.encode(found)) < OUTLINE_MAX_BYTES * 3 // 4

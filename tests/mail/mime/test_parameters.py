"""Content-Type and Content-Disposition, valid and malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.mime.message_parser import read_mail
from mail.mime.parameters import parse_parameterized_field


@pytest.mark.parametrize(
    ("written", "value", "parameters"),
    [
        ("text/html (x); charset=utf-8 (y (z))", "text/html", {"charset": "utf-8"}),
        ("(a)text/html(b);(c)charset(d)=(e)utf-8", "text/html", {"charset": "utf-8"}),
        ("text/html charset=utf-8", "text/html", {"charset": "utf-8"}),
        ("TEXT/HTML; Charset = 'utf-8'", "text/html", {"charset": "'utf-8'"}),
        ("text/plain; charset=utf-8 format=flowed", "text/plain",
         {"charset": "utf-8", "format": "flowed"}),
        ("text/plain;; ;charset=utf-8;", "text/plain", {"charset": "utf-8"}),
        ('text/plain; charset="utf-8"; format=flowed (; boundary=no)', "text/plain",
         {"charset": "utf-8", "format": "flowed"}),
        ("text/plain; a=(never closed; charset=utf-8", "text/plain",
         {"a": "(never closed", "charset": "utf-8"}),
        ("multipart/mixed; boundary=----=_Part_1=2 (x)", "multipart/mixed",
         {"boundary": "----=_Part_1=2"}),
        ('multipart/mixed; boundary="a; (b) c"', "multipart/mixed", {"boundary": "a; (b) c"}),
        ("multipart/mixed; boundary=a; boundary=b", "multipart/mixed", {"boundary": "a"}),
        ("text/plain; charset=koi8-r; charset=koi8-r", "text/plain", {"charset": "koi8-r"}),
        ('text/plain; charset=""; charset=x-none; charset=utf-8', "text/plain",
         {"charset": "utf-8"}),
        ("charset=utf-8", "", {"charset": "utf-8"}),
        ("quoted-printable (safe)", "quoted-printable", {}),
        ('"base64"', "base64", {}),
        ("base64;", "base64", {}),
        ("", "", {}),
    ],
)  # fmt: skip
def test_values_and_parameters(written: str, value: str, parameters: dict[str, str]) -> None:
    field = parse_parameterized_field(written)
    assert (field.value, dict(field.parameters)) == (value, parameters)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("filename=plain.pdf; filename*=utf-8''%C3%9C.pdf", "Ü.pdf"),
        ("filename*=utf-8''%C3%9C.pdf; filename=plain.pdf", "Ü.pdf"),
        ("filename*=\"utf-8'de'%C3%9C.pdf\"", "Ü.pdf"),
        ("filename*=; filename=plain.pdf", "plain.pdf"),
        ("filename*0=a; filename*1=b.pdf; filename=plain.pdf", "ab.pdf"),
        ("filename*1*=%9C.pdf; filename*0*=utf-8''a%C3; filename=b", "aÜ.pdf"),
        ("filename*0*=utf-8''a%20; filename*1=\"b%20.pdf\"", "a b%20.pdf"),
        ("filename*10=k; filename*9=j; filename*0=a", "ajk"),
        ("filename*1=b; filename=plain.pdf", "plain.pdf"),
        ("filename*0=a; filename*0=b; filename*1=c", "ac"),
        ("filename=a; filename=b", "a"),
        ('filename="=?utf-8?B?w5wucGRm?="', "Ü.pdf"),
        ('filename*0="=?utf-8?B?w5w"; filename*1="ucGRm?="', "Ü.pdf"),
        ("filename=report (1).pdf", "report (1).pdf"),
        ("filename=report.pdf (the last)", "report.pdf"),
        ('filename="a (b); c.pdf" (d)', "a (b); c.pdf"),
        ('filename="never closed.pdf', "never closed.pdf"),
        (r'filename="C:\temp\new offer.doc"', "new offer.doc"),
        (r'filename="C:\\temp\\new \"offer\".doc"', 'new "offer".doc'),
        (r'filename="\\server\share\x.doc"', "x.doc"),
        ('filename="/tmp/x.doc"', "x.doc"),
        ('filename="folder/"', "folder/"),
    ],
)
def test_names_of_files(written: str, name: str) -> None:
    content = f"Content-Type: a/b\r\nContent-Disposition: attachment; {written}\r\n\r\nx"
    assert [file.filename for file in read_mail(content.encode()).attachments] == [name]


@given(st.text("ab=;*0'%\"\\() \t,é/", max_size=60))
def test_any_text_is_parsed(written: str) -> None:
    field = parse_parameterized_field(written)
    assert field.value == field.value.strip().lower()
    assert all(isinstance(text, str) for text in field.parameters.values())


def test_fields_with_comments_are_used_in_a_mail() -> None:
    content = (
        b"Content-Type: text/html (rich); charset=iso-8859-2 (Latin 2)\r\n"
        b"Content-Transfer-Encoding: quoted-printable (safe)\r\n\r\n<p>za=BF=F3=B3=E6</p>"
    )
    assert read_mail(content).html == "<p>zażółć</p>"

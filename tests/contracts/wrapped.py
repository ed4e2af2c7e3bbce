"""Attachments and texts wrapped in ways that readers of MIME decode differently."""

import base64
import io
import zipfile

from scanners.memory import EICAR
from tests.contracts.scanner_mails import HEAD

_HALF = 30  # divisible by 3: a piece without padding
_MIXED = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
_PLAIN = b"--b\r\nContent-Type: text/plain\r\n\r\nAttached.\r\n"


def _mail(*parts: bytes) -> bytes:
    return (
        HEAD + _MIXED + _PLAIN + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--"
    )


def _file(
    encoding: bytes, body: bytes, *, end: bytes = b"\r\n\r\n", name: bytes = b"x.com"
) -> bytes:
    return (
        b'Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="'
        + name + b'"\r\nContent-Transfer-Encoding: ' + encoding + end + body
    )  # fmt: skip


def _coded(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def _in_pieces(octets: bytes, first: int) -> bytes:
    return _coded(octets[:first]) + _coded(octets[first:])


def _zipped(octets: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.com", octets)
    return packed.getvalue()


def encrypted_zip() -> bytes:
    """An archive whose entry says that it is encrypted."""
    packed = bytearray(_zipped(b"nothing to see here\r\n" * 20))
    packed[6] |= 1
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    return bytes(packed)


def _quoted(octets: bytes) -> bytes:
    return b"".join(b"=%02X" % octet for octet in octets)


def _text(kind: bytes, body: bytes) -> bytes:
    return HEAD + b"Content-Type: text/" + kind + b"\r\n\r\n" + body


_Q = _quoted(EICAR)
INFECTED_FILES = {
    "base64": _mail(_file(b"base64", _coded(EICAR))),
    "two padded pieces": _mail(_file(b"base64", _in_pieces(EICAR, 31))),
    "two pieces, one line each": _mail(_file(b"base64", _in_pieces(EICAR, _HALF))),
    "zip in two padded pieces": _mail(_file(b"base64", _in_pieces(_zipped(EICAR), 31))),
    "letters that are none": _mail(_file(b"base64", b"!" + _coded(EICAR).replace(b"U", b"U*\x80"))),
    "no padding": _mail(_file(b"base64", _coded(EICAR).replace(b"=", b""))),
    "lines of one letter": _mail(_file(b"base64", b"\r\n".join(
        bytes([one]) for one in base64.b64encode(EICAR)))),
    "quoted-printable": _mail(_file(b"quoted-printable", _Q)),
    "soft break with a space": _mail(_file(b"quoted-printable", _Q[:60] + b"= \r\n" + _Q[60:])),
    "soft break with a tab": _mail(_file(b"quoted-printable", _Q[:60] + b"=\t\r\n" + _Q[60:])),
    "lower-case hexadecimal": _mail(_file(b"quoted-printable", _Q.lower())),
    "no empty line before base64": _mail(_file(b"base64", _coded(EICAR), end=b"\r\n")),
    "encoding with a comment": _mail(_file(b"base64 (really)", _coded(EICAR))),
    "encoding in capitals": _mail(_file(b"BASE64", _coded(EICAR))),
    "encoding said twice": _mail(_file(
        b"base64\r\nContent-Transfer-Encoding: 7bit", _in_pieces(EICAR, 31))),
    "as it is": _mail(_file(b"8bit", EICAR)),
    "unknown encoding": _mail(_file(b"x-unknown", EICAR)),
    "never closed": _mail(_file(b"base64", _in_pieces(EICAR, 31))).removesuffix(b"--b--"),
    "attached message": _mail(
        b"Content-Type: message/rfc822\r\n\r\n" + _mail(_file(b"base64", _coded(EICAR)))),
    "the whole mail": HEAD + _file(b"base64", _in_pieces(EICAR, 31)),
    "inline picture": _mail(
        b"Content-Type: image/png\r\nContent-ID: <a@b>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + _in_pieces(EICAR, 31)),
    "behind an empty part": _mail(b"\r\n", _file(b"base64", _in_pieces(EICAR, 31))),
}  # fmt: skip
INFECTED_TEXTS = {
    "UTF-16": _text(b"plain; charset=utf-16", EICAR.decode().encode("utf-16")),
    "UTF-7": _text(b"plain; charset=utf-7", EICAR.decode().encode("utf-7")),
    "base64 in two pieces": _text(
        b"plain\r\nContent-Transfer-Encoding: base64", _in_pieces(EICAR, 31)
    ),
    "HTML entities": _text(b"html", b"".join(b"&#%d;" % octet for octet in EICAR)),
}
CLEAN_FORMS = {
    "two files": _mail(_file(b"base64", _coded(b"one")), _file(b"base64", _coded(b"two"))),
    "the same file twice": _mail(*[_file(b"base64", _coded(b"same"))] * 2),
    "html": _text(b"html; charset=iso-8859-1", b"<p>Gr\xfc\xdfe<script>x()</script>"),
    "many parts": _mail(*[_file(b"7bit", b"%d" % n) for n in range(900)]),
    "too many parts": _mail(*[_file(b"7bit", b"%d" % n) for n in range(1100)]),
}
ENCRYPTED = _mail(_file(b"base64", _coded(encrypted_zip()), name=b"x.zip"))
ENCRYPTED_OUT_OF_SIGHT = _mail(_file(b"base64", _in_pieces(encrypted_zip(), 31), name=b"x.zip"))
ENCRYPTED_AND_INFECTED = _mail(
    _file(b"base64", _coded(encrypted_zip()), name=b"x.zip"), _file(b"base64", _coded(EICAR))
)

"""Mails that both scanner contracts use."""

import base64
from collections.abc import Callable
from dataclasses import dataclass

from scanners.memory import EICAR, GTUBE

HEAD = (
    b"Received: from mx.example.net (mx.example.net [192.0.2.7]) by mx.postriver.test\r\n"
    b" with ESMTPS id 1; Tue, 24 Nov 2026 06:10:31 +0000\r\n"
    b"From: Alice Smith <alice@example.net>\r\nTo: bob@postriver.test\r\n"
    b"Subject: Notes of our meeting\r\nDate: Tue, 24 Nov 2026 06:10:31 +0000\r\n"
    b"Message-ID: <20261124061031.4711@mx.example.net>\r\nMIME-Version: 1.0\r\n"
)
CLEAN = HEAD + (
    b"Content-Type: text/plain; charset=us-ascii\r\n\r\n"
    b"Dear Bob, thank you for the meeting this morning. The notes will follow tomorrow;\r\n"
    b"please tell me what is missing. Kind regards, Alice\r\n"
)
SPAM = CLEAN + GTUBE + b"\r\n"


def with_attachment(content: bytes, *, name: str = "notes.bin") -> bytes:
    """CLEAN with one base64 part."""
    return HEAD + b"".join(
        (
            b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n',
            b"--b\r\nContent-Type: text/plain\r\n\r\nAttached.\r\n",
            b"--b\r\nContent-Type: application/octet-stream\r\n",
            f'Content-Disposition: attachment; filename="{name}"\r\n'.encode(),
            b"Content-Transfer-Encoding: base64\r\n\r\n",
            base64.encodebytes(content).replace(b"\n", b"\r\n"),
            b"--b--\r\n",
        )
    )


INFECTED = with_attachment(EICAR, name="test.com")
ODD = {
    "empty": b"",
    "one byte": b"\0",
    "no header": b"\x80\xff\x00 this is no mail\n",
    "8-bit": CLEAN + "Grüße, 안녕하세요".encode() + b"\xff\xfe\x00\x80\r\n",
    "bare endings": CLEAN.replace(b"\r\n", b"\n") + b"\r\r\n\r",
    "long line": CLEAN + b"x" * 200_000,
    "open parts": HEAD + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n" * 500,
}


@dataclass(frozen=True)
class Outage:
    """How a test takes the engine away and brings it back."""

    begin: Callable[[], None]
    end: Callable[[], None]

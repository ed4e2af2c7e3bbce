"""The mails that the whole path is tried with."""

import base64
from email.message import EmailMessage

SENDER = "ann@sender.example"
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


def compose(subject: str, text: str, html: str = "", attach: bytes = b"") -> bytes:
    mail = EmailMessage()
    mail["From"] = f"Ann Sender <{SENDER}>"
    mail["To"] = "alice@postriver.test"
    mail["Subject"] = subject
    mail["Date"] = "Tue, 24 Nov 2026 10:00:00 +0000"
    mail["Message-ID"] = f"<{abs(hash(subject))}@sender.example>"
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    if attach:
        mail.add_attachment(
            attach, maintype="application", subtype="octet-stream", filename="report.bin"
        )
    return mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def plain(subject: str = "Plain words") -> bytes:
    return compose(subject, "Good morning. The river runs to the sea.\n")


def html() -> bytes:
    body = (
        "<p>Hello <b>world</b><script>alert(1)</script>"
        '<img src="http://tracker.example/x.png" onerror="alert(2)"></p>'
    )
    return compose("With markup", "Hello world\n", body)


def attachment(size_bytes: int = 20_000) -> bytes:
    return compose(
        "With attachment", "See the report.\n", attach=bytes(range(256)) * (size_bytes // 256)
    )


def korean() -> bytes:
    return compose("안녕하세요 반갑습니다", "오늘 회의는 세 시에 시작합니다. 감사합니다.\n")


def broken_mime() -> bytes:
    return (
        b"From: broken@sender.example\r\nSubject: broken structure\r\n"
        b'Content-Type: multipart/mixed; boundary="never-there"\r\n\r\n'
        b"no boundary comes\r\n--other\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!\r\n"
    )


def eight_bit() -> bytes:
    return (
        b"From: x@sender.example\r\nSubject: Gr\xfc\xdfe undeclared\r\n\r\n"
        b"Sch\xf6ne Gr\xfc\xdfe, 8-bit without a word about it\r\n"
    )


def long_line() -> bytes:
    return b"From: x@sender.example\r\nSubject: one long line\r\n\r\n" + b"y" * 5000 + b"\r\n"


def eicar() -> bytes:
    return compose("Infected", "look inside\n", attach=EICAR)


def gtube() -> bytes:
    return compose("Unwanted", f"{GTUBE}\n")


def big(size_bytes: int = 20_000_000) -> bytes:
    """Base64 lines of a mail near `size_bytes`."""
    head = (
        b"From: Ann <ann@sender.example>\r\nTo: alice@postriver.test\r\n"
        b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <big@sender.example>\r\n"
        b"Subject: twenty megabytes\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: application/octet-stream; name=big.bin\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n"
    )
    line = base64.b64encode(bytes(range(57))) + b"\r\n"
    return head + line * ((size_bytes - len(head)) // len(line))

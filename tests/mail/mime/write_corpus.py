"""Write tests/corpus/*.eml: malformed mails as real senders produce them. Run it to change them.

The mails are also committed as files, so that a change of this script is visible as a change of
mails: tests/mail/mime/test_corpus.py compares both.
"""

import base64

from tests.support import CORPUS

HEAD = b"From: Kim <kim@example.kr>\r\nTo: bob@postriver.test\r\nSubject: %s\r\n"
MIXED = HEAD + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n"
KOREAN = "안녕하세요, 회의는 네 시입니다."
JAPANESE = "こんにちは、会議は四時です。"
CHINESE = "你好，会议在四点。"


def nested(depth: int) -> bytes:
    levels = (
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(depth)
    )
    return HEAD % b"nested" + b"".join(levels) + b"\r\nat the bottom\r\n"


def text(subject: bytes, content_type: bytes, body: bytes, *more: bytes) -> bytes:
    fields = b"".join(line + b"\r\n" for line in (b"Content-Type: " + content_type, *more))
    return HEAD % subject + fields + b"\r\n" + body


def mixed(subject: bytes, *parts: bytes, end: bytes = b"--x--\r\n") -> bytes:
    return MIXED % (subject, b"x") + b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + end


PLAIN_PART = b"Content-Type: text/plain\r\n\r\nthe text"
PDF = b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n"
INLINE_PICTURE = (
    b"Content-Type: image/png\r\nContent-ID: <pic@x>\r\nContent-Disposition: inline\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo="
)

MAILS: dict[str, bytes] = {
    "address-comments": b"From: (the boss) Kim (of Seoul (South)) <kim@example.kr> (work)\r\n"
    b"To: bob@postriver.test (Bob \\) Brown)\r\nSubject: comments\r\n\r\nhi\r\n",
    "address-encoded-comma": b"From: =?utf-8?q?Kim=2C_Chul?= <kim@example.kr>\r\n"
    b'To: "Brown, Bob" <bob@postriver.test>, ann@postriver.test\r\n'
    b"Subject: commas\r\n\r\nhi\r\n",
    "address-groups": b"From: kim@example.kr\r\nTo: Team: bob@postriver.test,"
    b" Ann <ann@x.test>;,\r\n undisclosed-recipients:;\r\nSubject: groups\r\n\r\nhi\r\n",
    "address-unclosed-quote": b'From: "Kim <kim@example.kr>\r\nTo: <bob@postriver.test\r\n'
    b"Subject: quote\r\n\r\nhi\r\n",
    "alternative": MIXED.replace(b"mixed", b"alternative") % (b"alternative", b"x")
    + b"--x\r\n\r\nplain words\r\n--x\r\nContent-Type: text/html\r\n\r\n"
    + b"<p>html words</p>\r\n--x--\r\n",
    "attached-message": mixed(
        b"forwarded",
        PLAIN_PART,
        b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text",
    ),
    "attachment-named-in-korean": mixed(
        b"report",
        PLAIN_PART,
        b"Content-Type: application/pdf\r\nContent-Disposition: attachment;\r\n"
        b" filename*0*=utf-8''%EB%B3%B4%EA%B3%A0;\r\n filename*1*=%EC%84%9C.pdf\r\n\r\n%PDF",
    ),
    "base64-broken": mixed(b"base64", PLAIN_PART, PDF + b"\r\n!!JVB*ER\r\ni0x"),
    "base64-text-broken": text(
        b"base64 text",
        b"text/plain; charset=utf-8",
        base64.b64encode(b"half of this arrived, the rest did not")[:-7] + b"!",
        b"Content-Transfer-Encoding: base64",
    ),
    "big5": text(b"big5", b"text/plain; charset=big5", "你好".encode("big5")),
    "boundary-missing": HEAD % b"no boundary"
    + b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\nhi\r\n",
    "boundary-never-closed": mixed(b"unclosed", PLAIN_PART, end=b""),
    "boundary-wrong": MIXED % (b"wrong boundary", b"x") + b"--y\r\n\r\nstill readable\r\n--y--\r\n",
    "charset-base64": text(b"charset", b"text/plain; charset=base64", b"aGVsbG8="),
    "charset-unknown": text(b"charset", b"text/plain; charset=x-klingon", "né".encode()),
    "digest": HEAD % b"digest" + b"Content-Type: multipart/digest; boundary=x\r\n\r\n"
    b"--x\r\n\r\nSubject: one\r\n\r\none\r\n--x\r\n\r\nSubject: two\r\n\r\ntwo\r\n--x--\r\n",
    "duplicated-from": b"From: first@x.test\r\nFrom: second@x.test\r\n"
    b"Subject: a\r\nSubject: b\r\n\r\nhi\r\n",
    "eight-bit-undeclared-euc-kr": (HEAD % KOREAN.encode("euc-kr"))
    + b"\r\n"
    + KOREAN.encode("euc-kr"),
    "eight-bit-undeclared-latin": HEAD % "Café à Noël".encode("latin-1")
    + b"\r\n"
    + "Déjà".encode("latin-1"),
    "eight-bit-undeclared-utf-8": (HEAD % KOREAN.encode()) + b"\r\n" + KOREAN.encode(),
    "empty": b"",
    "encoded-word-split-character": HEAD % b"=?utf-8?B?7ZWc6g==?=\r\n =?utf-8?B?uIA=?="
    + b"\r\nhi\r\n",
    "euc-kr": text(
        b"=?euc-kr?B?x9GxuQ==?=", b"text/plain; charset=euc-kr", KOREAN.encode("euc-kr")
    ),
    "gb18030": text(b"gb", b"text/plain; charset=gb2312", CHINESE.encode("gb18030")),
    "header-begins-with-space": b" Subject: shifted\r\nFrom: kim@example.kr\r\n\r\nhi\r\n",
    "header-huge": b"Subject: huge\r\n"
    b"X-Filler: " + b"y" * 200 + b"\r\n" + b"X: " + b"z " * 9000 + b"\r\n\r\nhi\r\n",
    "header-line-without-colon": HEAD % b"colon" + b"this is no field\r\n\r\nhi\r\n",
    "header-only": HEAD % b"only a header",
    "header-unterminated": HEAD % b"unterminated",
    "html-only": text(
        b"html", b"text/html", b"<html><style>p{}</style><p>Only&nbsp;<b>html</b></p>"
    ),
    "inline-picture": HEAD % b"picture" + b"Content-Type: multipart/related; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/html\r\n\r\n<img src=cid:pic@x>seen\r\n--x\r\n"
    + INLINE_PICTURE
    + b"\r\n--x--\r\n",
    "iso-2022-jp": text(
        b"=?iso-2022-jp?B?GyRCMnE1RBsoQg==?=",
        b"text/plain; charset=iso-2022-jp",
        JAPANESE.encode("iso-2022-jp"),
    ),
    "iso-2022-jp-undeclared": HEAD % "会議".encode("iso-2022-jp")
    + b"\r\n"
    + JAPANESE.encode("iso-2022-jp"),
    "line-ends-lf": mixed(b"lf", PLAIN_PART, PDF + b"\r\nJVBERi0=").replace(b"\r\n", b"\n"),
    "line-ends-mixed": (HEAD % b"line ends").replace(b"\r\n", b"\n", 1)
    + b"\none\r\ntwo\nthree\r\r\n",
    "line-of-5000": HEAD % b"long line" + b"\r\n" + b"word " * 1000 + b"\r\n",
    "message-ids": b"Message-ID: <a@x>\r\nIn-Reply-To: <b@x> (yesterday)\r\n"
    b"References: <c@x>\r\n <b@x>garbage\r\nSubject: ids\r\n\r\nhi\r\n",
    "nested-200": nested(200),
    "no-header": b"\r\nonly a body\r\n",
    "no-structure": b"just some words\r\nand more\r\n",
    "nul": HEAD % b"nu\x00l" + b"\r\nbe\x00fore\x07 after\x1b[0m\r\n",
    "quoted-printable-broken": text(
        b"qp",
        b"text/plain; charset=utf-8",
        b"caf=C3=A9 =ZZ =\r\nend=",
        b"Content-Transfer-Encoding: quoted-printable",
    ),
    "shift-jis": text(b"sjis", b"text/plain; charset=Shift_JIS", JAPANESE.encode("cp932")),
    "signed": HEAD
    % b"signed"
    + b"Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n\r\nsigned text\r\n"
    b"--x\r\nContent-Type: application/pgp-signature\r\n\r\nsig\r\n--x--\r\n",
    "spoofed-filename": mixed(
        b"spoof",
        b'Content-Disposition: attachment; filename="cod\xe2\x80\xaetxt.exe"\r\n'
        b"Content-Type: application/x-msdownload\r\n\r\nMZ",
    ),
    "type-garbage": text(b"type", b";;;=/", b"still text"),
    "utf-16": text(
        b"utf-16",
        b"text/plain; charset=utf-16",
        "schräg".encode("utf-16"),
        b"Content-Transfer-Encoding: 8bit",
    ),
    "utf-16-junk": "From: a@b\r\nSubject: x\r\n\r\nhi".encode("utf-16"),
    "windows-1251": text(b"cp1251", b"text/plain; charset=windows-1251", "Привет".encode("cp1251")),
}

if __name__ == "__main__":
    CORPUS.mkdir(exist_ok=True)
    for name, octets in MAILS.items():
        (CORPUS / f"{name}.eml").write_bytes(octets)

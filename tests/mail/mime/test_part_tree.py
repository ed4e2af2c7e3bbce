"""Part tree: time and memory are linear in the size of the mail."""

import tracemalloc

import pytest

from mail.mime.message_parser import read_head, read_mail
from tests.support.work_growth import assert_linear

MULTIPART = b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n'
SIZES = (50_000, 100_000, 200_000)


def repeated(before: bytes, piece: bytes, after: bytes, size_bytes: int) -> bytes:
    return before + piece * (size_bytes // len(piece)) + after


HOSTILE = {
    "a boundary that is a field": (MULTIPART % b"x:", b"--x:\r\n" + b"a: z\r\n" * 8, b"\r\nhi"),
    "a boundary of blanks": (MULTIPART % b" ", b"--\r\n--  \r\n", b""),
    "a part of fields": (MULTIPART % b"b" + b"--b\r\n", b"a:\r\n", b"\r\nhi\r\n--b--\r\n"),
    "parts of fields": (MULTIPART % b"b", b"--b\r\n" + b"a:\r\n" * 40, b"\r\nhi\r\n--b--\r\n"),
    "parts of junk": (MULTIPART % b"b", b"--b\r\n" + b"junk\r\n" * 40, b"\r\nhi\r\n--b--\r\n"),
    "lost folds": (b"A: b;\r\n", b"c=d;\r\n", b"\r\n"),
    "fields and junk": (b"", b"a:\r\njunk\r\n--\r\n", b"\r\n"),
    "traces and marks": (b"Received: a\r\n" * 150, b"From x\r\n", b"\r\n"),
    "no line end": (b"Subject: ", b"=?a?q?", b""),
    "the same boundary again": (b"", b"--b\r\n" + MULTIPART % b"b", b""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_walk_takes_linear_time(name: str) -> None:
    assert_linear(lambda n: repeated(*HOSTILE[name], n), read_head, SIZES)


@pytest.mark.parametrize("name", HOSTILE)
def test_the_walk_takes_memory_linear_in_the_mail(name: str) -> None:
    mail = repeated(*HOSTILE[name], 2_000_000)
    tracemalloc.start()
    try:
        read_mail(mail)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 10 * len(mail) + 8 * 1024 * 1024


def deep(levels: int, filler: bytes) -> bytes:
    parts = (b"--b%d\r\n" % (n - 1) + MULTIPART % (b"b%d" % n) for n in range(1, levels))
    return MULTIPART % b"b0" + b"".join(parts) + filler


def test_large_mails_with_many_levels_are_parsed_within_the_limits() -> None:
    big = deep(90, b"x\r\n" * 1_000_000)
    assert read_head(big).parse_failed
    assert not read_head(deep(90, b"x\r\n")).parse_failed
    assert not read_head(deep(15, b"x\r\n" * 1_000_000)).parse_failed

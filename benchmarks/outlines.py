"""Cost of outlines: CPU of making an outline, by the cost of the header summary in the same run.

`python -m benchmarks.outlines [--calls N]`, from the root of the checkout. Compare the ratios: the
times depend on the machine and on its other work.
"""

import argparse
import base64
import time
from collections.abc import Callable

import msgspec

from mail.mime.message_parser import read_head, read_outlined_head
from mail.mime.outline.builder import outline_of
from schemas.outline import MailOutline

RUNS = 7
_TRACE = b"Received: from mx.test by in.test with ESMTPS id 1; Mon, 9 Jan 2024 09:00:00 +0900\r\n"
_HEADER = (
    _TRACE * 3 + b"".join(b"X-Field-%d: a value of some length\r\n" % n for n in range(8))
    + b'From: "Doe, Jane" <jane@x.test>\r\nTo: Bob <bob@x.test>, ann@x.test\r\n'
    b"Subject: =?utf-8?q?Caf=C3=A9?= at four\r\nDate: Mon, 9 Jan 2024 09:00:00 +0900\r\n"
    b"Message-ID: <1@x.test>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="abc"\r\n\r\n'
)  # fmt: skip
_TEXTS = (
    b"--abc\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + b"words of the text\r\n" * 70
    + b"--abc\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + b"<p>words of it</p>\r\n" * 70
)  # fmt: skip
_FILE = (
    b'--abc\r\nContent-Type: application/pdf; name="a.pdf"\r\n'
    b'Content-Disposition: attachment; filename="a.pdf"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\n"
)


def small_mail() -> bytes:
    """Return a mail of 4 KB with two texts."""
    return _HEADER + _TEXTS + b"--abc--\r\n"


def large_mail(size_bytes: int = 50 * 1024 * 1024) -> bytes:
    """Return a mail of about `size_bytes` with one attachment in lines of 76 characters."""
    octets = bytes(range(256)) * (size_bytes * 57 // 78 // 256)
    body = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return _HEADER + _TEXTS + _FILE + body + b"--abc--\r\n"


def cpu_ms(read: Callable[[bytes], object], content: bytes, calls: int) -> float:
    """Return the smallest CPU time of one call, of RUNS runs of `calls` calls."""
    taken_s = []
    for _ in range(RUNS):
        started_s = time.process_time()
        for _ in range(calls):
            read(content)
        taken_s.append((time.process_time() - started_s) / calls)
    return min(taken_s) * 1000


def main(calls: int) -> None:
    for content, count in ((small_mail(), calls), (large_mail(), max(1, calls // 200))):
        head, outline, both = (
            cpu_ms(read, content, count) for read in (read_head, outline_of, read_outlined_head)
        )
        print(
            f"{len(content):10} bytes: summary {head:8.3f} ms, outline {outline:8.3f} ms "
            f"({outline / head:.2f}), both {both:8.3f} ms ({both / head:.2f})"
        )
    encoded = msgspec.msgpack.encode(outline_of(small_mail()))
    decode = msgspec.msgpack.Decoder(MailOutline).decode
    decode_ms = cpu_ms(decode, encoded, calls)
    print(f"stored: {len(encoded)} bytes; decoded in {decode_ms * 1000:.1f} us")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000)
    main(parser.parse_args().calls)

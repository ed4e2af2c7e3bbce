"""A slice of a large part is read without the rest of the mail: octets counted by the kernel."""

import base64
from pathlib import Path

import pytest

from benchmarks.outlines import large_mail
from mail.ids import new_id
from mail.mime.outline.builder import outline_of
from mail.mime.outline.sections import section_span
from stores.sqlite.content_store import SqliteContentStore
from stores.sqlite.outline_store import SqliteOutlineStore

SLICE_BYTES = 64 * 1024
PAGES_BYTES = 128 * 1024  # of the database files: rows of one outline, and the header of a file


def octets_read() -> int:
    """Return the octets that this process has read so far, from files, pipes and sockets."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar:"))


@pytest.fixture
async def stores(tmp_path: Path):
    contents = await SqliteContentStore.open(tmp_path / "content.sqlite", tmp_path / "content")
    outlines = await SqliteOutlineStore.open(tmp_path / "outlines.sqlite")
    yield contents, outlines
    await contents.close()
    await outlines.close()


async def test_a_slice_of_a_part_of_50_mib_reads_the_slice_and_one_outline(stores) -> None:
    """IMAP BODY[3]<start.size> (RFC 9051 §6.4.5), as a server carries it out."""
    contents, outlines = stores
    mail_id, mail = new_id(), large_mail()
    stored = await contents.put(mail_id, mail)
    await outlines.put(mail_id, outline_of(mail))
    whole = section_span(outline_of(mail), (3,))
    assert whole is not None
    assert whole.size_bytes > 45 * 1024 * 1024
    await contents.read(stored.ref, start=0, size_bytes=1)  # opens files
    for start in (0, 20 * 1024 * 1024, whole.size_bytes - 1_000):
        before = octets_read()
        outline = (await outlines.get([mail_id]))[mail_id]
        span = section_span(outline, (3,))
        assert span == whole
        size_bytes = min(SLICE_BYTES, span.size_bytes - start)
        octets = await contents.read(stored.ref, start=span.start + start, size_bytes=size_bytes)
        read_bytes = octets_read() - before
        first = span.start + start
        assert octets == mail[first : first + size_bytes]
        assert size_bytes <= read_bytes <= size_bytes + PAGES_BYTES
    line = mail[whole.start : whole.start + 76]
    assert base64.b64decode(line).startswith(bytes(range(50))), "the part is the attachment"

"""Outlines for readers: stored, or made from the content of a mail without an outline."""

from mail.mime.outline.builder import outline_of
from mail.outline_reader import OutlineReader
from parsing.in_process import InProcessParser
from schemas.content import Stored
from stores.memory import MemoryContentStore, MemoryOutlineStore

OLD, NEW = b"Subject: old\r\n\r\nhi", b"Subject: new\r\n\r\nhi"


async def test_stored_outlines_are_returned_and_missing_outlines_made() -> None:
    contents, outlines = MemoryContentStore(), MemoryOutlineStore()
    reader = OutlineReader(outlines=outlines, contents=contents, parser=InProcessParser())
    mails = {"old": await contents.put("old", OLD), "new": Stored("new", len(NEW), "")}
    await outlines.put("new", outline_of(NEW))
    gone = {"gone": Stored("gone", 1, "")}
    assert await reader.of(mails | gone) == {"old": outline_of(OLD), "new": outline_of(NEW)}
    assert list(outlines.outlines) == ["new"]

"""rebuild outlines: make the outlines of mails again from their contents, while Postriver runs.

Correct outlines stay as they are, so a repeat is harmless. Up to CONCURRENT_MAX contents are in
memory at a time. A mail that arrives meanwhile gets its outline from the stage `validate`. If a
content is deleted meanwhile, its outline is deleted by the content sweep.
"""

import asyncio
from collections.abc import Iterable

from mail.errors import ContentMissing
from operations.ports import OutlinePorts
from schemas.ids import MailId, UserId

CONCURRENT_MAX = 4
PAGE = 500  # contents


async def rebuild_all_outlines(ports: OutlinePorts) -> tuple[int, int]:
    """Rebuild the outline of every content; return the number of contents, and of changes."""
    contents = changed = 0
    place: str | None = None
    while True:
        refs, place = await ports.walk.walk(place=place, limit=PAGE)
        contents += len(refs)
        changed += await _rebuild(refs, ports)
        if place is None:
            return contents, changed


async def rebuild_outlines(user_id: UserId, ports: OutlinePorts) -> tuple[int, int]:
    """Rebuild the outlines of one mailbox; return the number of contents, and of changes."""
    contents = changed = 0
    after = ""
    while rows := await ports.store.by_id(user_id, after_id=after, limit=PAGE):
        mail_ids = {row.mail_id for row in rows}
        contents += len(mail_ids)
        changed += await _rebuild(mail_ids, ports)
        after = rows[-1].message_id
    return contents, changed


async def _rebuild(mail_ids: Iterable[MailId], ports: OutlinePorts) -> int:
    """Rebuild outlines; return the number of those that were missing or different."""
    slots = asyncio.Semaphore(CONCURRENT_MAX)

    async def rebuild_one(mail_id: MailId) -> bool:
        async with slots:
            return await _rebuild_one(mail_id, ports)

    return sum(await asyncio.gather(*map(rebuild_one, mail_ids)))


async def _rebuild_one(mail_id: MailId, ports: OutlinePorts) -> bool:
    """Return whether the outline was missing or different. The reference is the mail's id."""
    try:
        content = await ports.contents.get(mail_id)
    except ContentMissing:
        return False
    outline = await ports.parser.outline(content)
    stored = await ports.outlines.get([mail_id])
    if stored.get(mail_id) == outline:
        return False
    await ports.outlines.put(mail_id, outline)
    return True

"""Outlines for readers: from the store, or made from the content where the store has none.

A mail of an older version, or of a lost outlines file, has no outline until `postriver rebuild
outlines` makes it. An outline that was made here is not stored: each file of a store has few
writers, and no edge is among them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mail.errors import ContentMissing
from mail.ports import ContentStore, OutlineStore, Parser
from schemas.content import Stored
from schemas.ids import MailId
from schemas.outline import MailOutline


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineReader:
    """Reads outlines for an edge. `made` mails are parsed one after the other."""

    outlines: OutlineStore
    contents: ContentStore
    parser: Parser

    async def of(self, mails: Mapping[MailId, Stored]) -> dict[MailId, MailOutline]:
        """Return the outlines of `mails`; a mail without outline and content is left out.

        Reads the contents of mails without an outline whole. Raises StoreUnavailable or
        ParserUnavailable.
        """
        outlines = dict(await self.outlines.get(list(mails)))
        for mail_id, stored in mails.items():
            if mail_id not in outlines:
                try:
                    content = await self.contents.get(stored.ref)
                except ContentMissing:
                    continue
                outlines[mail_id] = await self.parser.outline(content)
        return outlines

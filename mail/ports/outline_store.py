"""Outlines of mails: envelope, part tree and offsets, without the contents."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from schemas.ids import MailId
from schemas.outline import MailOutline


class OutlineStore(Protocol):
    """Outlines by mail id, one for all recipients of a mail.

    A view: an outline that is missing can be made from the content (mail/outline_reader.py).
    """

    async def put(self, mail_id: MailId, outline: MailOutline) -> None:
        """Keep the outline; it replaces an earlier outline of the mail."""
        ...

    async def get(self, mail_ids: Sequence[MailId]) -> Mapping[MailId, MailOutline]:
        """Return the outlines that exist. An outline that cannot be decoded counts as missing."""
        ...

    async def delete(self, mail_ids: Sequence[str]) -> None:
        """Delete the outlines in one write; no error if there is no such outline."""
        ...

    async def ids(self, *, after: str, limit: int) -> list[MailId]:
        """Return at most `limit` mail ids with an outline: one part of a walk over all of them.

        `after`: the last id of the part before; "": begin. The order is the store's own. An id that
        has an outline during the whole walk is returned once; a part below `limit` is the last.
        """
        ...

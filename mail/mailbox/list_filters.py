"""Message lists: their folders, the rows of a message in them, and filters."""

from collections.abc import Iterator
from functools import lru_cache

from mail.addresses import normal_address
from mail.errors import BadAddress
from mail.mailbox.conversations import in_all_mail
from schemas.ids import FolderId
from schemas.mailbox import JUNK, TRASH, Filter, MailboxState, Message, is_flagged, is_unread

NO_FILTER = Filter()
FLAG_FLAGGED = 1  # bits of a message in the list of a folder
FLAG_ATTACHMENTS = 2
FLAG_REPEATED = 4  # all mail shows the message by its place in another folder


def folders_of(state: MailboxState, folder_id: FolderId | None) -> tuple[FolderId, ...]:
    """Ids of the folders that a list shows: `folder_id`, or for None all except junk and trash."""
    if folder_id is not None:
        return (folder_id,)
    return tuple(id_ for id_ in state.folders if id_ not in (JUNK, TRASH))


def places_of(row: Message) -> Iterator[tuple[FolderId, int]]:
    """The folders whose lists show the message, with its FLAG_* bits in each."""
    flags = is_flagged(row.keywords) * FLAG_FLAGGED + row.head.has_attachments * FLAG_ATTACHMENTS
    is_repeated = False
    for folder_id in sorted(row.shown_places):
        yield folder_id, flags + (is_repeated and in_all_mail(folder_id)) * FLAG_REPEATED
        is_repeated = is_repeated or in_all_mail(folder_id)


def sender_of(row: Message) -> str:
    """The address of the first From: mailbox, normalised for filters; "" if there is none."""
    return sender_key(row.head.sender.address) if row.head.sender else ""


@lru_cache(maxsize=4096)
def sender_key(address: str) -> str:
    """The normal form of `address` for comparison; an invalid addr-spec is only case-folded."""
    try:
        return normal_address(address)
    except BadAddress:
        return address.casefold()


def matches(row: Message, conditions: Filter) -> bool:
    """Whether the message meets all conditions of the filter."""
    at_ms = row.received_at_ms
    return (
        conditions.unread in (None, is_unread(row.keywords))
        and conditions.flagged in (None, is_flagged(row.keywords))
        and conditions.has_attachments in (None, row.head.has_attachments)
        and (conditions.keyword is None or conditions.keyword in row.keywords)
        and (conditions.sender is None or sender_key(conditions.sender) == sender_of(row))
        and (conditions.after_ms is None or at_ms >= conditions.after_ms)
        and (conditions.before_ms is None or at_ms < conditions.before_ms)
    )

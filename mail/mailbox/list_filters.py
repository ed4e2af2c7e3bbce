"""In which lists a message stands, and which of its traits lists are filtered by."""

from functools import lru_cache

from mail.addresses import normal_address
from mail.errors import BadAddress
from schemas.mailbox import FLAGGED, JUNK, SEEN, TRASH, Filter, MailboxState, Message

NO_FILTER = Filter()


def folders_of(state: MailboxState, folder_id: str | None) -> tuple[str, ...]:
    """The folders that a list shows together: one, or for None all but junk and trash."""
    if folder_id is not None:
        return (folder_id,)
    return tuple(id_ for id_ in state.folders if id_ not in (JUNK, TRASH))


def is_unread(row: Message) -> bool:
    """Unread is the absence of $seen (RFC 8621 §4.1.1)."""
    return SEEN not in row.keywords


def is_flagged(row: Message) -> bool:
    return FLAGGED in row.keywords


def sender_of(row: Message) -> str:
    """The address of the first author, in the form by which lists are filtered; "" for none."""
    return sender_key(row.head.sender.address) if row.head.sender else ""


@lru_cache(maxsize=4096)
def sender_key(address: str) -> str:
    """The form under which addresses are equal; what is no addr-spec is at least case-folded."""
    try:
        return normal_address(address)
    except BadAddress:
        return address.casefold()


def matches(row: Message, wanted: Filter) -> bool:
    """Whether a list under the filter shows the message."""
    at_ms = row.received_at_ms
    return (
        wanted.unread in (None, is_unread(row))
        and wanted.flagged in (None, is_flagged(row))
        and wanted.has_attachments in (None, row.head.has_attachments)
        and (wanted.sender is None or sender_key(wanted.sender) == sender_of(row))
        and (wanted.after_ms is None or at_ms >= wanted.after_ms)
        and (wanted.before_ms is None or at_ms < wanted.before_ms)
    )

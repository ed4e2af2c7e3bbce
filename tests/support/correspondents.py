"""The correspondents that a whole journal leads to, counted without the code of the product."""

from collections import Counter
from collections.abc import Callable, Iterable

from schemas.events.mailbox_events import MailboxChanged
from schemas.mailbox import DRAFTS, JUNK, SENT, TRASH

_UNCOUNTED = {SENT, DRAFTS, JUNK, TRASH}  # folders in which a sender does not count


def received(journal: Iterable[MailboxChanged], sender_of: Callable[[str], str]) -> dict[str, int]:
    """How often a message of each sender came into a folder in which it counts.

    `sender_of` returns the sender of the mail with this id.
    """
    senders: dict[str, str] = {}  # by message
    counting: set[str] = set()
    times = Counter[str]()
    for change in (change for entry in journal for change in entry.changes):
        if change.delivered:
            senders[change.message_id] = sender_of(change.delivered.mail_id)
        if not change.places.keys() - _UNCOUNTED:
            counting.discard(change.message_id)
        elif change.message_id not in counting:
            counting.add(change.message_id)
            times[senders[change.message_id]] += 1
    return times

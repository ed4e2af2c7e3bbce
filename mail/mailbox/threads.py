"""Threads: the conversations of a mailbox (RFC 8621 §3, RFC 5322 §3.6.4).

Each mailbox binds Message-IDs to threads. A message joins the thread of the first of its ids that
is bound, in the order of `thread_keys`; if no id is bound, it begins a thread. Its unbound ids are
then bound to its thread, so that a parent that arrives later joins the thread of its replies.
"""

import hashlib
from collections.abc import Mapping

from mail.ids import derived_id
from schemas.ids import MessageId, ThreadId
from schemas.mail import HeaderSummary

REFERENCES_MAX = 20  # the last ids of References: the nearest ancestors
REPLIES_MAX = 5  # the first ids of In-Reply-To
_KEY_BYTES = 16


def thread_keys(head: HeaderSummary) -> tuple[bytes, ...]:
    """Thread keys: hashes of the Message-IDs that relate a message to others, nearest first.

    The order is the message's own id (for copies of it), In-Reply-To, then References from the last
    to the first.
    """
    ids = (
        head.message_id,
        *head.in_reply_to[:REPLIES_MAX],
        *reversed(head.references[-REFERENCES_MAX:]),
    )
    return tuple(dict.fromkeys(_key(id_) for id_ in ids if id_))


def thread_for(
    message_id: MessageId, keys: tuple[bytes, ...], bound: Mapping[bytes, ThreadId]
) -> ThreadId:
    """The thread id of the first bound key, in the order of `keys`; else a new thread id."""
    thread_id = next((bound[key] for key in keys if key in bound), None)
    return thread_id or thread_begun_by(message_id)


def thread_begun_by(message_id: MessageId) -> ThreadId:
    """The thread of a message that joins no other; there is none before that message."""
    return ThreadId(derived_id(message_id, "thread"))


def bindings(
    thread_id: ThreadId, keys: tuple[bytes, ...], bound: Mapping[bytes, ThreadId]
) -> dict[bytes, ThreadId]:
    """The keys to bind to the thread: those of `keys` that are not in `bound`."""
    return {key: thread_id for key in keys if key not in bound}


def _key(id_: str) -> bytes:
    return hashlib.blake2b(id_.encode("utf-8", "replace"), digest_size=_KEY_BYTES).digest()

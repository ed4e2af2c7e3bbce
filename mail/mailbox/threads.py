"""Conversations: which messages of a mailbox belong together (RFC 8621 §3, RFC 5322 §3.6.4).

Each mailbox binds message ids to threads. A message joins the thread of the first id that is bound
already, in the order of `thread_keys`; else it begins one. All its unbound ids are then bound to
its thread, so that a parent that comes late still finds its answers.
"""

import hashlib
from collections.abc import Mapping

from mail.ids import derived_id
from schemas.mail import HeaderSummary

REFERENCES_MAX = 20  # the last ones: the nearest ancestors
REPLIES_MAX = 5
_KEY_BYTES = 16


def thread_keys(head: HeaderSummary) -> tuple[bytes, ...]:
    """Hashes of the ids that tie a message to others, the closest tie first.

    Its own (a copy of a message that is here), In-Reply-To, then References from the last back.
    """
    ids = (
        head.message_id,
        *head.in_reply_to[:REPLIES_MAX],
        *reversed(head.references[-REFERENCES_MAX:]),
    )
    return tuple(dict.fromkeys(_key(id_) for id_ in ids if id_))


def thread_for(message_id: str, keys: tuple[bytes, ...], bound: Mapping[bytes, str]) -> str:
    """The first thread that `keys` are bound to, or the one that this message begins."""
    found = next((bound[key] for key in keys if key in bound), None)
    return found or derived_id(message_id, "thread")


def bindings(
    thread_id: str, keys: tuple[bytes, ...], bound: Mapping[bytes, str]
) -> dict[bytes, str]:
    """What to bind now; what is bound stays."""
    return {key: thread_id for key in keys if key not in bound}


def _key(id_: str) -> bytes:
    return hashlib.blake2b(id_.encode("utf-8", "replace"), digest_size=_KEY_BYTES).digest()

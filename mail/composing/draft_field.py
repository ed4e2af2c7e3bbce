"""Header field of drafts: what a draft's other fields cannot say, as JSON in base64.

The field is in drafts alone: `for_recipients` removes it. A field that cannot be read, such as
another program's, counts as absent.
"""

import base64
import binascii
from collections.abc import Iterable

import msgspec

from mail.composing.header_fields import folded
from mail.composing.sent_copies import DRAFT_FIELD

FIELD_MAX_BYTES = 16 * 1024  # of JSON; 100 ids of uploads take 4 KiB
_PIECE_CHARS = 56  # of base64 on one line


class DraftQuote(msgspec.Struct, frozen=True, kw_only=True):
    """The message that a draft quotes once it is sent."""

    message_id: str
    kind: str
    include: str


class DraftState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Values of a draft that are not in its other fields. Ids are of this server."""

    identity_id: str | None = None
    in_reply_to: str | None = None  # a message of the mailbox
    forward_of: str | None = None
    quote: DraftQuote | None = None
    client_id: str | None = None
    upload_ids: tuple[str, ...] = ()  # by attachment; "": not an upload
    is_text_made: bool = False  # the text was made from the HTML


def draft_field(state: DraftState) -> bytes:
    """Return the field with its line ends. Raises ValueError: `state` is too large."""
    json = msgspec.json.encode(state)
    if len(json) > FIELD_MAX_BYTES:
        msg = "the state of a draft is too large"
        raise ValueError(msg)
    text = base64.b64encode(json).decode()
    pieces = (text[at : at + _PIECE_CHARS] for at in range(0, len(text), _PIECE_CHARS))
    return folded(DRAFT_FIELD, pieces)


def draft_state(values: Iterable[bytes]) -> DraftState:
    """Return the state in the values of the field; the default state if there is none."""
    for value in values:
        try:
            json = base64.b64decode(b"".join(value[: 2 * FIELD_MAX_BYTES].split()), validate=True)
            return msgspec.json.decode(json, type=DraftState)
        except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError):
            continue
    return DraftState()

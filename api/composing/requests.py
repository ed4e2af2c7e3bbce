"""Bodies of requests with a mail that the caller writes: drafts and submissions.

Every field has a default, so that a draft can be saved at any time.
"""

from typing import Annotated, Literal

import msgspec

from api.rest.parameters import ResourceId
from mail.composing.address_input import INPUT_MAX_CHARS
from mail.composing.outgoing_mail import QuoteKind
from mail.mailbox.settings_limits import DELAY_MAX_S

CLIENT_ID_MAX_CHARS = 64
ClientId = Annotated[str, msgspec.Meta(min_length=1, max_length=CLIENT_ID_MAX_CHARS)]
Line = Annotated[str, msgspec.Meta(max_length=INPUT_MAX_CHARS)]
PartNumber = Annotated[int, msgspec.Meta(ge=1, le=9_999)]


class AddressInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address with its display name."""

    address: Line
    name: Line = ""


AddressText = AddressInput | Line  # or as `Bob <bob@example.org>`


class AttachmentInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file: exactly one of an upload, content in base64, or a part of a message.

    `message_id` alone is the whole message, `n` alone a part of the draft's present version.
    """

    upload_id: ResourceId | None = None
    content_base64: str | None = None
    message_id: ResourceId | None = None
    n: PartNumber | None = None
    filename: Line | None = None  # null: that of the upload or part
    content_type: Line | None = None
    inline: bool = False
    content_id: Line | None = None  # the HTML shows the image by `cid:` and this id


class QuoteInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message that is quoted below the text when the mail is sent."""

    message_id: ResourceId
    kind: QuoteKind = "reply"
    include: Literal["html", "text"] = "html"


class MailInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mail. `from` is one of the caller's addresses, and else that of the identity.

    Without `text`, text is made from `html`. `in_reply_to` and `forward_of` are messages of the
    mailbox.
    """

    identity_id: ResourceId | None = None  # null: the default identity
    sender: AddressText | None = msgspec.field(default=None, name="from")
    to: tuple[AddressText, ...] = ()
    cc: tuple[AddressText, ...] = ()
    bcc: tuple[AddressText, ...] = ()
    reply_to: tuple[AddressText, ...] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: tuple[AttachmentInput, ...] = ()
    in_reply_to: ResourceId | None = None
    forward_of: ResourceId | None = None
    quote: QuoteInput | None = None
    headers: dict[str, str] = {}


class DraftInput(MailInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A draft. A repeated POST with the same `client_id` answers with the first draft."""

    client_id: ClientId | None = None


class SubmissionInput(MailInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mail to send. The draft `draft_id` is replaced by the sent mail."""

    draft_id: ResourceId | None = None
    client_id: ClientId | None = None
    send_at: str | None = None  # RFC 3339; null: now
    undo_s: Annotated[int, msgspec.Meta(ge=0, le=DELAY_MAX_S)] | None = None  # null: the setting

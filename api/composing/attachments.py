"""The files of a mail: from the body of the request, or from messages of the mailbox."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from api.composing.author import Author
from api.composing.requests import AttachmentInput
from api.rest.reading.message_parsing import parse_attachment
from mail.composing.body_parts import OCTET_STREAM
from mail.composing.faults import ComposingFault
from mail.composing.outgoing_mail import ATTACHMENTS_MAX, OutgoingAttachment
from mail.errors import NotFound
from schemas.ids import UploadId
from schemas.mail import PARTS
from schemas.mailbox import Message
from schemas.uploads import Upload

_SOURCES = "Give an upload_id, or content_base64, or message_id and n."


@dataclass(frozen=True, slots=True)
class _File:
    """A file before the request's own values for its name and type."""

    filename: str
    content_type: str
    content: bytes


@dataclass(slots=True, kw_only=True)
class AttachmentReader:
    """Reads the files of one mail, up to `size_max_bytes` together.

    `draft`: the present version of the draft that is written, whose parts a file may name by `n`.
    """

    author: Author
    draft: Message | None
    size_max_bytes: int
    _size_bytes: int = field(init=False, default=0)
    _uploads: Mapping[str, Upload] = field(init=False, default_factory=dict)

    async def read(self, given: tuple[AttachmentInput, ...]) -> tuple[OutgoingAttachment, ...]:
        """Return the files, in order. Raises ComposingFault: a file does not exist; too large."""
        if len(given) > ATTACHMENTS_MAX:
            raise ComposingFault("attachments", f"At most {ATTACHMENTS_MAX}.")
        if upload_ids := [UploadId(one.upload_id) for one in given if one.upload_id]:
            uploader = self.author.context.uploader
            self._uploads = await uploader.use(self.author.user.user_id, upload_ids)
        files = []
        for number, one in enumerate(given):
            place = f"attachments[{number}]"
            file = await self._file(one, place)
            self._count(len(file.content), place)
            files.append(
                OutgoingAttachment(
                    filename=one.filename or file.filename,
                    content_type=one.content_type or file.content_type,
                    content=file.content,
                    inline=one.inline,
                    content_id=one.content_id or "",
                )
            )
        return tuple(files)

    async def _file(self, one: AttachmentInput, place: str) -> _File:
        is_part = one.message_id is not None or one.n is not None
        sources = (one.upload_id is not None, one.content_base64 is not None, is_part)
        if sum(sources) != 1:
            raise ComposingFault(place, _SOURCES)
        if one.content_base64 is not None:
            return _decoded(one.content_base64, f"{place}.content_base64")
        if one.upload_id is not None:
            return await self._upload(one.upload_id, place)
        row = self.draft
        if one.message_id is not None:
            row = await self.author.message(one.message_id, f"{place}.message_id")
        if row is None:
            raise ComposingFault(f"{place}.n", "There is no saved draft with this part.")
        if one.n is not None:
            return await self._part(row, one.n, place)
        self._check(row.content.size_bytes, place)
        content = await self.author.context.ports.contents.get(row.content.ref)
        return _File(f"{row.head.subject or 'message'}.eml", "message/rfc822", content)

    async def _upload(self, upload_id: str, place: str) -> _File:
        """The file of an upload; if it has expired, as the present version of the draft has it."""
        upload = self._uploads.get(upload_id)
        if upload is not None:
            self._check(upload.size_bytes, place)
            content = await self.author.context.uploader.content(upload)
            return _File(upload.filename, upload.content_type, content)
        if self.draft is not None:
            state = (await self.author.written_fields(self.draft)).state
            if upload_id and upload_id in state.upload_ids:
                return await self._part(self.draft, state.upload_ids.index(upload_id) + 1, place)
        raise ComposingFault(f"{place}.upload_id", "There is no such upload.")

    async def _part(self, row: Message, n: int, place: str) -> _File:
        if PARTS in row.verdict.unchecked:  # no scanner saw this attachment as it would be sent
            raise ComposingFault(f"{place}.n", "This attachment could not be scanned.")
        try:
            part, content = await parse_attachment(self.author.context, row, n)
        except NotFound as error:
            raise ComposingFault(f"{place}.n", "There is no such attachment.") from error
        return _File(part.filename, part.content_type, content)

    def _check(self, size_bytes: int, place: str) -> None:
        """Raises ComposingFault: the files so far and `size_bytes` more are too large."""
        if self._size_bytes + size_bytes > self.size_max_bytes:
            detail = f"The whole mail has at most {self.size_max_bytes} bytes as it is sent."
            raise ComposingFault(place, detail)

    def _count(self, size_bytes: int, place: str) -> None:
        self._check(size_bytes, place)
        self._size_bytes += size_bytes


def _decoded(text: str, place: str) -> _File:
    try:
        return _File("", OCTET_STREAM, base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ComposingFault(place, "Base64 (RFC 4648 §4), without line ends.") from error

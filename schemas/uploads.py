"""Uploads: files that a user has sent, for attachments of a mail that is being written."""

import msgspec

from schemas.ids import UploadId, UserId


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """One file. Its content is in the content store under `upload_id`.

    `sha256` is "" until the content is stored; such an upload is counted and not shown.
    """

    upload_id: UploadId  # UUIDv7
    user_id: UserId
    filename: str
    content_type: str
    size_bytes: int
    used_at_ms: int  # of the last use; at first, of the upload
    expires_at_ms: int  # 0: it has expired for good
    sha256: str = ""


class UploadQuota(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one user's uploads. To make room, uploads without use for `keep_ms` may expire."""

    size_bytes: int
    uploads: int
    keep_ms: int

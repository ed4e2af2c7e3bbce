"""CQL tables of uploads, as migrations: the uploads of a user are one row."""

import msgspec

from schemas.cql.due import DUE_TABLES
from schemas.cql.tables import Migration, Table
from schemas.uploads import Upload


class StoredUpload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload; `version` grows with each change of `expires_at_ms`."""

    upload: Upload
    version: int = 1


UPLOADS_OF_USER = Table(name="uploads_of_user", partition=("user_id",), values=("row",))
UPLOAD_OWNER = Table(name="upload_owner", partition=("upload_id",), values=("user_id",))
UPLOADS: tuple[Migration, ...] = (
    (
        UPLOADS_OF_USER.create("user_id text, row blob"),
        UPLOAD_OWNER.create("upload_id text, user_id text"),
        *DUE_TABLES,
    ),
)

"""Outlines in outlines.sqlite, written by the role `intake`; `custody` deletes, `rebuild` replaces.

A file of its own: the lock of content.sqlite decides how soon `ingress` answers 250, and outlines
are a view that may be lost. A content and its outline are therefore deleted one after the other
(agents/background/content_sweeper.py).
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from sqlite3 import Connection

import msgspec

from mail.ports import OutlineStore
from schemas.ids import MailId
from schemas.outline import MailOutline
from schemas.sqlite.small_stores import OUTLINES
from stores.sqlite.database_file import SqliteConfig
from stores.sqlite.single_file_store import SingleFileStore, reads

CACHE_KIB = 4 * 1024  # of the file, per connection
_as_json = msgspec.json.Encoder().encode
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(MailOutline).decode
_PUT = """INSERT INTO outline (mail_id, outline) VALUES (?, ?)
    ON CONFLICT (mail_id) DO UPDATE SET outline = excluded.outline"""
_GET = """SELECT mail_id, outline FROM outline
    WHERE mail_id IN (SELECT value FROM json_each(?))"""
_DELETE = "DELETE FROM outline WHERE mail_id = ?"
_IDS = "SELECT mail_id FROM outline WHERE mail_id > ? ORDER BY mail_id LIMIT ?"


def _get(connection: Connection, mail_ids: Sequence[MailId]) -> Mapping[MailId, MailOutline]:
    outlines = {}
    for mail_id, encoded in connection.execute(_GET, (_as_json(mail_ids).decode(),)):
        with suppress(msgspec.MsgspecError):
            outlines[mail_id] = _decode(encoded)
    return outlines


def _ids(connection: Connection, *, after: str, limit: int) -> list[MailId]:
    return [mail_id for (mail_id,) in connection.execute(_IDS, (after, limit))]


class SqliteOutlineStore(SingleFileStore, OutlineStore):
    """Outlines over one SQLite file. Create it with `open`; `close` it."""

    migrations = OUTLINES
    default_config = SqliteConfig(cache_kib=CACHE_KIB)

    get = reads(_get)
    ids = reads(_ids)

    async def put(self, mail_id: MailId, outline: MailOutline) -> None:
        row = (mail_id, _encode(outline))
        await self.file.write(lambda connection: connection.execute(_PUT, row).rowcount)

    async def delete(self, mail_ids: Sequence[str]) -> None:
        rows = [(mail_id,) for mail_id in mail_ids]
        await self.file.write(lambda connection: connection.executemany(_DELETE, rows).rowcount)

"""Queries for rows of a mailbox by their keys: state, messages, threads, correspondents."""

import asyncio
from collections.abc import Iterable

import msgspec

from schemas.correspondents import Correspondent
from schemas.cql.mail_store import (
    CORRESPONDENT,
    LIST_HEAD,
    LIST_ROW,
    MAILBOX,
    MESSAGE_ID,
    SETTINGS,
    SNAPSHOT,
)
from schemas.ids import DomainId, FolderId, MessageId, ThreadId, UserId
from schemas.mailbox import MailboxState, Message
from schemas.snapshot import Snapshot
from schemas.user_settings import StoredSettings
from stores.cassandra.mail_store.lists import ListHead, members
from stores.cassandra.mail_store.threads import (
    Member,
    NewestMembers,
    StoredThread,
    decode_thread,
)
from stores.cassandra.session import CassandraSession

_MAILBOX = MAILBOX.select("domain_id, state")
_HEADS = LIST_HEAD.select("list, head")
_FOLDED = SNAPSHOT.select("seq")
_SNAPSHOT = SNAPSHOT.select("snapshot")
_SETTINGS = SETTINGS.select("settings")
_IDS = MESSAGE_ID.select("message_id", "AND message_id > ? LIMIT ?")
_MESSAGES_AND_IDS = "SELECT message_id, message FROM message WHERE user_id = ? AND message_id IN ?"
_MESSAGES = "SELECT message FROM message WHERE user_id = ? AND message_id IN ?"
_THREADS = "SELECT thread_id, thread FROM thread WHERE user_id = ? AND thread_id IN ?"
_BOUND = "SELECT key, thread_id FROM thread_key WHERE user_id = ? AND key IN ?"
_CORRESPONDENTS = CORRESPONDENT.select("address, correspondent")
_CORRESPONDENTS_OF = CORRESPONDENT.select("address, correspondent", "AND address IN ?")
_NEWEST = LIST_ROW.select("received_at_ms, message_id, bucket", "LIMIT ?")
decode_message = msgspec.msgpack.Decoder(Message).decode
decode_state = msgspec.msgpack.Decoder(MailboxState).decode
decode_correspondent = msgspec.msgpack.Decoder(Correspondent).decode
_head = msgspec.msgpack.Decoder(ListHead).decode
_snapshot = msgspec.msgpack.Decoder(Snapshot).decode
_settings = msgspec.msgpack.Decoder(StoredSettings).decode


class MailboxReads:
    """Reads of any mailbox; they repair nothing."""

    def __init__(self, session: CassandraSession) -> None:
        self.session = session

    async def stored(self, user_id: UserId) -> tuple[DomainId, MailboxState]:
        """The user's domain and the state. A new user: no domain, MailboxState()."""
        rows = await self.session.read(_MAILBOX, user_id)
        return (rows[0][0], decode_state(rows[0][1])) if rows else (DomainId(""), MailboxState())

    async def heads(self, user_id: UserId) -> dict[str, ListHead]:
        rows = await self.session.read(_HEADS, user_id)
        return {name: _head(blob) for name, blob in rows}

    async def folded_seq(self, user_id: UserId) -> int:
        rows = await self.session.read(_FOLDED, user_id)
        return rows[0][0] if rows else 0

    async def snapshot(self, user_id: UserId) -> Snapshot:
        rows = await self.session.read(_SNAPSHOT, user_id)
        return _snapshot(rows[0][0]) if rows else Snapshot()

    async def settings(self, user_id: UserId) -> StoredSettings:
        rows = await self.session.read(_SETTINGS, user_id)
        return _settings(rows[0][0]) if rows else StoredSettings()

    async def rows(
        self, user_id: UserId, message_ids: Iterable[MessageId]
    ) -> dict[MessageId, Message]:
        """Those that exist, tombstones too."""
        found = await self.session.read_by_keys(_MESSAGES, user_id, keys=message_ids)
        rows = (decode_message(blob) for (blob,) in found)
        return {row.message_id: row for row in rows}

    async def readable(
        self, user_id: UserId, message_ids: Iterable[MessageId]
    ) -> dict[MessageId, Message | None]:
        """Those that exist; None: the row cannot be read."""
        found = await self.session.read_by_keys(_MESSAGES_AND_IDS, user_id, keys=message_ids)
        return {id_: _readable(blob) for id_, blob in found}

    async def ids_after(
        self, user_id: UserId, bucket: str, after_id: str, limit: int
    ) -> list[MessageId]:
        """Ids of messages that begin with `bucket`, above `after_id`, in order."""
        return [id_ for (id_,) in await self.session.read(_IDS, user_id, bucket, after_id, limit)]

    async def threads(
        self, user_id: UserId, thread_ids: Iterable[ThreadId]
    ) -> dict[ThreadId, StoredThread]:
        found = await self.session.read_by_keys(_THREADS, user_id, keys=thread_ids)
        return {thread_id: decode_thread(blob) for thread_id, blob in found}

    async def bound(self, user_id: UserId, keys: Iterable[bytes]) -> dict[bytes, ThreadId]:
        """The thread of each key that is bound."""
        return dict(await self.session.read_by_keys(_BOUND, user_id, keys=keys))

    async def correspondents_of(
        self, user_id: UserId, addresses: Iterable[str]
    ) -> dict[str, Correspondent]:
        found = await self.session.read_by_keys(_CORRESPONDENTS_OF, user_id, keys=addresses)
        return {address: decode_correspondent(blob) for address, blob in found}

    async def all_correspondents(self, user_id: UserId) -> dict[str, Correspondent]:
        found = await self.session.read(_CORRESPONDENTS, user_id)
        return {address: decode_correspondent(blob) for address, blob in found}

    def newest_members(self, user_id: UserId) -> NewestMembers:
        """The query for the newest members of a thread of this user in a folder."""

        async def query(
            thread_id: ThreadId, folder_id: FolderId, buckets: tuple[int, ...], limit: int
        ) -> list[Member]:
            name = members(thread_id, folder_id)
            found = await asyncio.gather(
                *(self.session.read(_NEWEST, user_id, name, 0, bucket, limit) for bucket in buckets)
            )
            return sorted((row for rows in found for row in rows), reverse=True)[:limit]

        return query


def _readable(blob: bytes) -> Message | None:
    try:
        return decode_message(blob)
    except (ValueError, msgspec.MsgspecError):
        return None

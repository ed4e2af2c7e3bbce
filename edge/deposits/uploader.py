"""Uploader: files of a user, for attachments of a mail that is being written.

An upload is a content with a holder, and a row. The virus scanner is asked first; an upload is one
file, scanned as it is handed out. Order: row (counted, not shown), content, holder, row finished. A
process that is killed in between leaves a row that expires like any other. At its end the holder
goes first and the row last, so that a row exists for as long as the holder. The content sweep
deletes the content.
Safe to repeat: a repeated upload is another upload.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from edge.deposits.deposit import DepositsBusy, TooLarge
from edge.deposits.room import OwnerRoom
from edge.deposits.virus_check import VirusCheck
from edge.fair_turns import FairTurns, QueueFull
from mail.clock import DAY_MS, now_ms
from mail.errors import NotFound
from mail.ids import new_id, upload_holder
from mail.ports import ContentStore, Holders, Uploads
from schemas.directory import User
from schemas.holders import Holder
from schemas.ids import MailId, UploadId, UserId
from schemas.uploads import Upload, UploadQuota

MIB = 1024 * 1024
REMOVED_AT_ONCE = 500  # expired uploads in one write


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadConfig:
    """Limits of uploads; those of one user hold for all processes together."""

    size_max_bytes: int = 50 * MIB
    keep_ms: int = DAY_MS  # after the last use
    user_max_bytes: int = 256 * MIB
    user_max: int = 200  # uploads
    spare_ms: int = 3_600_000  # after its last use an upload does not expire to make room
    at_once: int = 4  # that are scanned and stored, of one process
    per_user: int = 2
    waiting_max: int = 256  # in fair turns among users


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPorts:
    uploads: Uploads
    contents: ContentStore
    holders: Holders


class Uploader:
    """Uploads of one process."""

    def __init__(
        self,
        ports: UploadPorts,
        config: UploadConfig,
        *,
        virus: VirusCheck,
        room: OwnerRoom,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._ports = ports
        self._config = config
        self._virus = virus
        self._room = room
        self._now_ms = clock_ms
        self._turns = FairTurns(config.at_once, config.waiting_max, slots_per_key=config.per_user)

    async def upload(
        self, user: User, octets: bytes, *, filename: str, content_type: str
    ) -> Upload:
        """Scan and store a file; return its row.

        Raises TooLarge, OverQuota, TooManyUploads, Infected, CannotBeScanned; Transient: try later,
        nothing was accepted.
        """
        if len(octets) > self._config.size_max_bytes:
            raise TooLarge(self._config.size_max_bytes)
        try:
            async with self._turns.turn(user.user_id):
                await self._room.check(user, size_bytes=len(octets))
                await self._virus.verdict(octets)
                return await self._store(user, octets, filename, content_type)
        except QueueFull:
            raise DepositsBusy from None

    async def find(self, user_id: UserId, upload_id: str) -> Upload:
        """Return a user's upload. Raises NotFound: also for that of another user."""
        rows = await self._ports.uploads.uploads(user_id, now_ms=self._now_ms())
        for row in rows:
            if row.upload_id == upload_id:
                return row
        raise NotFound("There is no such upload.")

    async def use(self, user_id: UserId, upload_ids: Sequence[UploadId]) -> dict[str, Upload]:
        """Return a user's uploads by id, those that exist; each is kept for `keep_ms` from now."""
        at_ms = self._now_ms()
        rows = await self._ports.uploads.use(
            user_id, upload_ids, now_ms=at_ms, expires_at_ms=at_ms + self._config.keep_ms
        )
        return {row.upload_id: row for row in rows}

    async def content(self, upload: Upload) -> bytes:
        """Return the octets of an upload. Raises ContentMissing; StoreUnavailable."""
        return await self._ports.contents.get(upload.upload_id)

    async def delete(self, user_id: UserId, upload_id: str) -> None:
        """End an upload. Raises NotFound: also for that of another user."""
        known, at_ms = UploadId(upload_id), self._now_ms()
        if not await self._ports.uploads.expire(user_id, known, now_ms=at_ms):
            raise NotFound("There is no such upload.")
        await self._remove([(user_id, known)])

    async def remove_expired(self) -> int:
        """Release and delete the uploads whose time has come; return their number."""
        count = 0
        while True:
            rows = await self._ports.uploads.expire_due(
                now_ms=self._now_ms(), limit=REMOVED_AT_ONCE
            )
            await self._remove([(row.user_id, row.upload_id) for row in rows])
            count += len(rows)
            if len(rows) < REMOVED_AT_ONCE:
                return count

    async def _store(self, user: User, octets: bytes, filename: str, content_type: str) -> Upload:
        config, at_ms, user_id = self._config, self._now_ms(), user.user_id
        upload_id = UploadId(new_id())
        row = Upload(
            upload_id=upload_id,
            user_id=user_id,
            filename=filename,
            content_type=content_type,
            size_bytes=len(octets),
            used_at_ms=at_ms,
            expires_at_ms=at_ms + config.keep_ms,
        )
        quota = UploadQuota(
            size_bytes=config.user_max_bytes, uploads=config.user_max, keep_ms=config.spare_ms
        )
        await self._ports.uploads.begin(row, quota=quota, now_ms=at_ms)
        mail_id = MailId(upload_id)
        content = await self._ports.contents.put(mail_id, octets)
        holder = upload_holder(user_id, upload_id)
        await self._ports.holders.hold([Holder(mail_id=mail_id, holder=holder, ref=content.ref)])
        await self._ports.uploads.finish(upload_id, sha256=content.sha256)
        return msgspec.structs.replace(row, sha256=content.sha256)

    async def _remove(self, uploads: Sequence[tuple[UserId, UploadId]]) -> None:
        """Release the holders, then delete the rows."""
        await self._ports.holders.release_all(
            (upload_id, upload_holder(user_id, upload_id)) for user_id, upload_id in uploads
        )
        await self._ports.uploads.delete([upload_id for _, upload_id in uploads])

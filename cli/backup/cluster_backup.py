"""Backup of the distributed profile: rows of Cassandra, the log, contents; into DIR/cluster.

The steps are those of backup.py, but rows are read over time:
1. the committed offsets are read;
2. the tables are copied, in the order of stores/cassandra/backup/tables.py;
3. the log is read from the committed offsets to its end;
4. contents are read from the content store and copied: all that a copied row or record refers to
   were put before, and the lease keeps them. Where a content is makes no difference;
5. the rest of the state folder is copied.
Not in the backup: OpenSearch, which is filled again from the mailboxes; Redis; secrets.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import msgspec

from cli.backup import manifest as form
from cli.backup.backup import LEFT_OUT, Backup, Log
from cli.config.config import Config
from cli.wiring.cassandra_stores import cluster_config, schemas
from cli.wiring.profile import adapters
from mail.errors import ContentMissing, Refused
from mail.ports import ContentStore, ContentSweep
from schemas.ids import MailId
from stores.cassandra.backup.history import copy_histories
from stores.cassandra.backup.rows import copy_table, tried
from stores.cassandra.backup.tables import OTHERS, VIEWS
from stores.cassandra.migrations import check_versions
from stores.cassandra.session import CassandraSession
from streams.config import Bootstrap
from streams.framed_file import FramedFile
from streams.readers import log_snapshot

log = logging.getLogger(__name__)
ROWS, CONTENTS = "rows.records", "contents-*.records"
PART_BYTES = 1024**3  # of a file of contents, at least; it ends with a content
PAGE = 100  # contents
AT_ONCE = 4  # contents in memory
ENGINES = frozenset({"cassandra", "opensearch", "redis", "objects", "data", form.PUT_BACK_CLUSTER})


class CopiedContent(msgspec.Struct, frozen=True, array_like=True):
    mail_id: MailId
    octets: bytes


def schema_name(name: str) -> str:
    """The name of a schema of Cassandra in a manifest."""
    return f"cassandra/{name}"


def known_schemas() -> dict[str, int]:
    """The schemas of this version, and their versions."""
    return {schema_name(name): len(found) for name, found in schemas().items()}


class ClusterBackup(Backup):
    """A backup from the engines of `config` into the empty folder `target`."""

    left_out = LEFT_OUT | ENGINES

    def __init__(self, config: Config, target: Path, sums: form.Sums) -> None:
        super().__init__(config.home.resolve(), target, sums)
        self._config = config

    def copy(self, bootstrap: Bootstrap | None) -> tuple[dict[str, int], Log]:
        """Raises Refused, StoreUnavailable, BrokerUnavailable."""
        if (self.home / form.PUT_BACK_CLUSTER).exists():
            raise Refused("no backup was made: a restore is not finished, start with postriver up")
        (self.target / form.CLUSTER).mkdir(mode=0o700)
        read = asyncio.run(self._copy(bootstrap))
        self.rest()
        return known_schemas(), read

    async def _copy(self, bootstrap: Bootstrap | None) -> Log:
        first = await log_snapshot.first_unconsumed(bootstrap) if bootstrap else {}
        session = await CassandraSession.open(cluster_config(self._config, self._config.user))
        try:
            await check_versions(session, schemas())
            await self._rows(session)
        finally:
            await session.close()
        read = await self._log(bootstrap, first) if bootstrap else None
        async with adapters(self._config) as opened:
            await self._contents(await opened.contents(), await opened.content_sweep())
        return read

    async def _rows(self, session: CassandraSession) -> None:
        with closing(self._file(ROWS)) as file:
            for table in VIEWS:
                await copy_table(session, table, file)
            await copy_histories(session, file)
            for table in OTHERS:
                await copy_table(session, table, file)
        self.sums.add(file.path)

    async def _contents(self, contents: ContentStore, walk: ContentSweep) -> None:
        """Copy every content of the store, into files of about PART_BYTES."""
        with ExitStack() as files:
            number = 0
            file: FramedFile | None = None
            async for page in _pages(walk):
                if file is None:
                    number += 1
                    file = self._file(CONTENTS.replace("*", f"{number:06}"))
                    files.callback(file.close)
                await self._page(contents, page, file)
                if file.mark() >= PART_BYTES:
                    self._finish(file)
                    file = None
            if file is not None:
                self._finish(file)

    def _finish(self, file: FramedFile) -> None:
        file.close()
        self.sums.add(file.path)

    async def _page(self, contents: ContentStore, page: list[MailId], file: FramedFile) -> None:
        for first in range(0, len(page), AT_ONCE):
            some = page[first : first + AT_ONCE]
            for copied in await asyncio.gather(*(_read(contents, mail_id) for mail_id in some)):
                if copied is not None:
                    file.add(copied)

    def _file(self, name: str) -> FramedFile:
        return FramedFile(self.target / form.CLUSTER / name, self.check_free_space)


async def _pages(walk: ContentSweep) -> AsyncIterator[list[MailId]]:
    """Yield the ids of all contents."""
    place: str | None = None
    while True:
        found, place = await tried(partial(walk.walk, place=place, limit=PAGE))
        if found:
            yield found
        if place is None:
            return


async def _read(contents: ContentStore, mail_id: MailId) -> CopiedContent | None:
    """None: the store has lost the content."""
    try:
        return CopiedContent(mail_id, await tried(lambda: contents.get(mail_id)))
    except ContentMissing:
        log.warning("the content %s is missing, and is not in the backup", mail_id)
        return None

"""Second half of a restore of the distributed profile: the role `setup` fills the engines.

`postriver restore` checks the backup and puts it into HOME/put-back. At the first start, before any
other process of this Postriver runs, `setup` refuses engines that are in use, makes the tables as
they were and loads their rows, migrates them, puts all contents, brings mailboxes to the ends of
their journals, and lets the search index be filled. Every step may be repeated after a kill: a
setting says that this restore has begun. At the end HOME/put-back is deleted.
"""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from agents.mailbox_rebuild import HeadReader
from cli.backup import manifest as form
from cli.backup.cluster_backup import CONTENTS, ROWS, CopiedContent, known_schemas, schema_name
from cli.config.config import Config
from cli.wiring.cassandra_stores import CassandraStores, owner_config, owner_session, schemas
from cli.wiring.embedded import Adapters
from cli.wiring.external_engines import search_config
from mail.errors import Refused, StoreUnavailable
from mail.ports import ContentStore
from schemas.ids import UserId
from stack.durable_files import sync
from stores.cassandra.backup.history import USERS
from stores.cassandra.backup.load import NotEmpty, Restored, first_used_table
from stores.cassandra.backup.rows import CopiedRows, pages
from stores.cassandra.directory.store import CassandraDirectory
from stores.cassandra.ledger import CassandraLedger
from stores.cassandra.mail_store.catch_up import CatchUp
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.relay_queue import CassandraRelayQueue
from stores.cassandra.session import CassandraSession
from stores.cassandra.submissions import CassandraSubmissions
from stores.cassandra.uploads import CassandraUploads
from stores.opensearch.index import OpenSearchIndex
from streams.framed_file import values
from streams.readers.log_snapshot import first_written
from streams.topics.access_rules import SETUP

log = logging.getLogger("postriver.setup")
AT_ONCE = 4  # contents
MAILBOXES_AT_ONCE = 4
AGAIN_S = 2.0  # after an engine did not answer
RELISTED = (
    CassandraDirectory, CassandraLedger, CassandraRelayQueue, CassandraSubmissions,
    CassandraUploads,
)  # fmt: skip
T = TypeVar("T")


def refuse_used_engines(config: Config) -> None:
    """Look at engines that run elsewhere. Raises Refused: one has data. StoreUnavailable."""
    asyncio.run(_refuse_used_engines(config))


async def _refuse_used_engines(config: Config) -> None:
    if config.kafka is not None:
        await _refuse_used_log(config)
    if config.cassandra is None:
        return
    async with owner_session(owner_config(config)) as session:
        table = await first_used_table(session)
    if table:
        raise Refused(f"Cassandra has rows in the table {table}: a restore begins in empty engines")


async def _refuse_used_log(config: Config) -> None:
    """Raises Refused: the log has records. BrokerUnavailable."""
    topic = await first_written(replace(config, user=SETUP).bootstrap)
    if topic:
        raise Refused(f"the topic {topic} has records: a restore begins in empty engines")


@dataclass(frozen=True, slots=True)
class ClusterRestore:
    """The restore of a folder that `postriver restore` has filled."""

    config: Config
    folder: Path

    async def load(self) -> None:
        """Make the tables of the backup and load their rows, unless this was done before.

        Raises Fatal: the engines have data of others.
        """
        manifest = form.read(self.folder, known_schemas(), self.config.profile)
        restore_id = (self.folder / form.RESTORE_ID).read_text(encoding="ascii")
        made = {
            name: found[: manifest.schemas.get(schema_name(name), 0)]
            for name, found in schemas().items()
        }
        async with owner_session(owner_config(self.config)) as session:
            restored = Restored(session, restore_id)
            await restored.make_tables(made)
            if not await restored.is_begun():
                await _fatal_if_used(self.config)
                await restored.begin()
            number = await restored.load(values(self.folder / ROWS, CopiedRows))
        log.info("restore: %d rows are written", number)

    async def fill(self, opened: Adapters) -> None:
        """Put contents, finish mailboxes, and write what leads to rows. Raises Fatal."""
        contents = await opened.contents()
        await _put(contents, self._contents())
        async with AsyncExitStack() as stack:
            stores = CassandraStores(owner_config(self.config), stack)
            session = await stores.session_for(CassandraMailStore)
            reader = HeadReader(contents, opened.parser())
            await self._mailboxes(session, CatchUp(session, reader.heads))
            for store in RELISTED:
                await again(store(await stores.session_for(store)).relist)

    async def end(self) -> None:
        """The stores and the log are as in the backup: delete what was put back."""
        owner = owner_config(self.config)
        async with owner_session(owner) as session:
            await session.use(owner.keyspace)
            await Restored(session, "").end()
        shutil.rmtree(self.folder)
        sync(self.config.home)

    def _contents(self) -> Iterator[CopiedContent]:
        for path in sorted(self.folder.glob(CONTENTS)):
            yield from values(path, CopiedContent)

    async def _mailboxes(self, session: CassandraSession, catch_up: CatchUp) -> None:
        search = OpenSearchIndex(search_config(self.config))
        number = behind = 0

        async def finished(user_id: UserId) -> bool:
            await again(lambda: search.mark_unfilled(user_id))
            return await again(lambda: catch_up.run(user_id))

        try:
            async for page in pages(session, USERS):
                for first in range(0, len(page), MAILBOXES_AT_ONCE):
                    some = [row[0] for row in page[first : first + MAILBOXES_AT_ONCE]]
                    behind += sum(await asyncio.gather(*map(finished, some)))
                    number += len(some)
        finally:
            await search.close()
        log.info("restore: %d mailboxes, %d of them changed during the backup", number, behind)


def pending(config: Config) -> ClusterRestore | None:
    """The restore that has to be finished before the stack is used; None: there is none."""
    folder = config.home / form.PUT_BACK_CLUSTER
    return ClusterRestore(config, folder) if folder.exists() else None


async def again(step: Callable[[], Awaitable[T]]) -> T:
    """Repeat a step that may be repeated until its engine answers."""
    while True:
        try:
            return await step()
        except StoreUnavailable as error:
            log.warning("restore: %s; again in %g s", error, AGAIN_S)
            await asyncio.sleep(AGAIN_S)


async def _fatal_if_used(config: Config) -> None:
    try:
        await _refuse_used_log(config)
    except Refused as error:
        raise NotEmpty(str(error)) from error


async def _put(contents: ContentStore, copied: Iterator[CopiedContent]) -> None:
    number = 0
    while some := list(islice(copied, AT_ONCE)):
        await asyncio.gather(
            *(again(partial(contents.put, one.mail_id, one.octets)) for one in some)
        )
        number += len(some)
    log.info("restore: %d contents are put", number)

"""A process of the role `mailbox`, composed as in cli/roles/workers.py, for tests that kill it.

`python -m tests.system.two_workers.mailbox_worker BOOTSTRAP FOLDER NAME [CLUSTER]`. Workers share
FOLDER: one mail.sqlite, and one directory.sqlite with the topics' epochs. CLUSTER, a ClusterConfig
as JSON: the mail store is there instead. Ends with 0 at SIGTERM, with FENCED when the journal
refused a late write, with UNHEALTHY when the supervisor would end it.
"""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import msgspec
import uvloop

from cli.roles.workers import mailbox_handlers
from mail.errors import JournalConflict
from mail.lifecycle import running
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.session import CassandraSession, ClusterConfig
from stores.sqlite.directory.store import SqliteDirectory
from stores.sqlite.holders import SqliteHolders
from stores.sqlite.mail_store.store import SqliteMailStore
from streams.config import Bootstrap, PublisherConfig, StreamsConfig, TopicsConfig
from streams.publisher import KafkaPublisher
from streams.topics.admin import wait_for_topics
from streams.topics.retention import LogTrimmer
from streams.topology import stages_of
from streams.worker.assignment_lease import AssignmentLease
from streams.worker.worker import Worker
from tests.support.agent_builders import mailbox_ports
from tests.system.two_workers.mailbox_commands import CHUNK_MAX

ROLE = "mailbox"
FENCED, UNHEALTHY = 3, 4


async def open_store(
    folder: Path, cluster: ClusterConfig | None, lease: AssignmentLease
) -> SqliteMailStore | CassandraMailStore:
    if cluster is None:
        return await SqliteMailStore.open(folder / "mail.sqlite")
    session = await CassandraSession.open(cluster)
    await session.use(cluster.keyspace)
    return CassandraMailStore(session, check=lease.check)


async def run(bootstrap: Bootstrap, folder: Path, name: str, cluster: ClusterConfig | None) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    config = StreamsConfig(bootstrap=bootstrap, worker=name, data_folder=folder / "faust")
    lease = AssignmentLease(config.session_timeout_s)
    store = await open_store(folder, cluster, lease)
    holders = await SqliteHolders.open(folder / "holders.sqlite")
    directory = await SqliteDirectory.open(folder / "directory.sqlite")
    try:
        epochs = await wait_for_topics(TopicsConfig(bootstrap=bootstrap), directory)
        async with (
            running(
                KafkaPublisher(PublisherConfig(bootstrap=bootstrap, client_id=ROLE))
            ) as publisher,
            running(LogTrimmer.of_role(bootstrap, ROLE)),
        ):
            worker = Worker(
                ROLE,
                lambda states: mailbox_handlers(
                    mailbox_ports(store=store, states=states, holders=holders, chunk_max=CHUNK_MAX)
                ),
                stages=stages_of(ROLE),
                config=config,
                publisher=publisher,
                epochs=epochs,
                with_mailbox_states=True,
                lease=lease,
            )
            watching = asyncio.create_task(_watch(worker))
            await worker.run(stop)
            watching.cancel()
    finally:
        await directory.close()
        await holders.close()
        await store.close()


async def _watch(worker: Worker) -> None:
    """Ask for the health as the supervisor does; the log says where an unhealthy worker waits."""
    while (reason := worker.unhealthy()) is None:
        await asyncio.sleep(1)
    logging.getLogger("worker").critical("unhealthy: %s", reason)
    os._exit(UNHEALTHY)


def main() -> None:
    bootstrap, folder, name, *more = sys.argv[1:]
    cluster = msgspec.json.decode(more[0], type=ClusterConfig) if more else None
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("streams").setLevel(logging.INFO)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        uvloop.run(run(Bootstrap.parse(bootstrap), Path(folder), name, cluster))
    except JournalConflict as conflict:
        logging.getLogger("worker").critical("fenced: %s", conflict)
        sys.exit(FENCED)


if __name__ == "__main__":
    main()

"""Adapters of the distributed profile: Cassandra, OpenSearch and Redis.

Contents are still in the files of the embedded profile; that is why refuse_incomplete holds.
"""

from contextlib import AsyncExitStack

from cli.config.config import Config
from cli.wiring.cassandra_stores import CassandraAdapters, cluster_config
from cli.wiring.embedded import Adapters
from edge.sign_in.attempts_in_outage import AttemptsInOutage
from edge.sign_in.login_limiter import ATTEMPTS_KEPT_MS
from mail.ports import (
    Attempts,
    Directory,
    Holders,
    Ledger,
    MailStore,
    OutlineStore,
    Quarantine,
    SearchIndex,
    Uploads,
)
from mail.ports.relay_queue import RelayQueueStore
from mail.ports.submissions import Submissions
from stack.engines.redis import NAME as REDIS
from stores.opensearch.client import SearchClusterConfig
from stores.opensearch.index import OpenSearchIndex
from stores.redis.attempts import RedisAttempts
from stores.redis.client import RedisClient, RedisConfig
from stores.sqlite.database_file import CommitTimes
from stores.write_check import WriteCheck, always_writable


class DistributedAdapters(Adapters):
    """Opens adapters on demand and closes them together, in reverse order.

    `check` is called before each statement that writes a mailbox.
    """

    def __init__(
        self,
        config: Config,
        stack: AsyncExitStack,
        commit_times: CommitTimes,
        *,
        check: WriteCheck = always_writable,
    ) -> None:
        super().__init__(config.home, stack, existing=True, commit_times=commit_times)
        self._config = config
        cluster = cluster_config(config, config.user)
        self._cassandra = CassandraAdapters(cluster, stack, check=check)

    async def mail_store(self) -> MailStore:
        return await self._cassandra.mail_store()

    async def directory(self) -> Directory:
        return await self._cassandra.directory()

    async def quarantine(self) -> Quarantine:
        return await self._cassandra.quarantine()

    async def submissions(self) -> Submissions:
        return await self._cassandra.submissions()

    async def relay_queue(self) -> RelayQueueStore:
        """The queue, for its role and for operators."""
        return await self._cassandra.relay_queue()

    async def holders(self) -> Holders:
        return await self._cassandra.holders()

    async def ledger(self) -> Ledger:
        return await self._cassandra.ledger()

    async def outlines(self) -> OutlineStore:
        return await self._cassandra.outlines()

    async def uploads(self) -> Uploads:
        return await self._cassandra.uploads()

    async def attempts(self) -> Attempts:
        """Attempts that all hosts count together; each process alone while Redis is away."""
        client = RedisClient.open(RedisConfig(socket=self._socket(REDIS)))
        self._stack.push_async_callback(client.close)
        return AttemptsInOutage(RedisAttempts(client, kept_ms=ATTEMPTS_KEPT_MS))

    async def search(self) -> SearchIndex:
        config = SearchClusterConfig(port=self._config.opensearch_port)
        return await self._opened(OpenSearchIndex.open(config))

"""Adapters of the distributed profile: Cassandra, S3, OpenSearch and Redis."""

from contextlib import AsyncExitStack
from dataclasses import replace

from cli.config.config import Config
from cli.wiring.cassandra_stores import CassandraStores, config_of
from cli.wiring.embedded import Adapters
from cli.wiring.external_engines import objects_config, redis_config, search_config
from edge.request_tokens import MakeTokens, TokenBatches, TokensInOutage
from edge.sign_in.attempts_in_outage import AttemptsInOutage
from edge.sign_in.login_limiter import ATTEMPTS_KEPT_MS
from mail.ports import (
    Attempts,
    ContentPacking,
    ContentStore,
    ContentSweep,
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
from operations.rebuild import WholeIndex
from stores.cassandra.content_store import CassandraContentStore
from stores.cassandra.directory.store import CassandraDirectory
from stores.cassandra.holders import CassandraHolders
from stores.cassandra.ledger import CassandraLedger
from stores.cassandra.mail_store.store import CassandraMailStore
from stores.cassandra.outline_store import CassandraOutlineStore
from stores.cassandra.quarantine import CassandraQuarantine
from stores.cassandra.relay_queue import CassandraRelayQueue
from stores.cassandra.submissions import CassandraSubmissions
from stores.cassandra.uploads import CassandraUploads
from stores.opensearch.index import OpenSearchIndex
from stores.redis.attempts import RedisAttempts
from stores.redis.client import RedisClient, RedisConfig
from stores.redis.request_tokens import RedisTokens
from stores.s3.objects import S3Objects, spread_key
from stores.sqlite.database_file import CommitTimes
from stores.write_check import WriteCheck, always_writable

TOKENS_TIMEOUT_S = 0.05  # a request waits no longer for Redis


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
        super().__init__(
            config.home, stack, existing=True, commit_times=commit_times,
            scanners=config.scanner_addresses,
        )  # fmt: skip
        self._config = config
        self._check = check
        self._cluster = CassandraStores(config_of(config), stack)

    async def mail_store(self) -> MailStore:
        session = await self._cluster.session_for(CassandraMailStore)
        return CassandraMailStore(session, check=self._check)

    async def directory(self) -> Directory:
        return await self._cluster.open(CassandraDirectory)

    async def quarantine(self) -> Quarantine:
        return await self._cluster.open(CassandraQuarantine)

    async def submissions(self) -> Submissions:
        return await self._cluster.open(CassandraSubmissions)

    async def relay_queue(self) -> RelayQueueStore:
        """The queue, for its role and for operators."""
        return await self._cluster.open(CassandraRelayQueue)

    async def holders(self) -> Holders:
        return await self._cluster.open(CassandraHolders)

    async def ledger(self) -> Ledger:
        return await self._cluster.open(CassandraLedger)

    async def outlines(self) -> OutlineStore:
        return await self._cluster.open(CassandraOutlineStore)

    async def uploads(self) -> Uploads:
        return await self._cluster.open(CassandraUploads)

    async def contents(self) -> ContentStore:
        return await self._large_contents()

    async def content_sweep(self) -> ContentSweep:
        return await self._large_contents()

    async def content_packing(self) -> ContentPacking | None:
        return (await self._large_contents()).upkeep()

    async def _large_contents(self) -> CassandraContentStore:
        """Rows on Cassandra, and objects on the S3 server."""
        session = await self._cluster.session_for(CassandraContentStore)
        objects = S3Objects.open(objects_config(self._config))
        return CassandraContentStore(session, objects, spread_key)

    async def attempts(self) -> Attempts:
        """Attempts that all hosts count together; each process alone while Redis is away."""
        config = redis_config(self._config)
        return AttemptsInOutage(RedisAttempts(self._redis(config), kept_ms=ATTEMPTS_KEPT_MS))

    def tokens_for_requests(self) -> MakeTokens:
        """Of all hosts together, in batches; each process alone while Redis is away."""
        config = replace(redis_config(self._config), timeout_s=TOKENS_TIMEOUT_S)
        client = self._redis(config)
        return lambda name, quota: TokenBatches(TokensInOutage(RedisTokens(client, name, quota)))

    def _redis(self, config: RedisConfig) -> RedisClient:
        client = RedisClient.open(config)
        self._stack.push_async_callback(client.close)
        return client

    async def search(self) -> SearchIndex:
        return self._search()

    async def whole_index(self) -> WholeIndex | None:
        return self._search()

    def _search(self) -> OpenSearchIndex:
        index = OpenSearchIndex(search_config(self._config))
        self._stack.push_async_callback(index.close)
        return index

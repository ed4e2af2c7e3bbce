"""Adapters of the embedded profile: SQLite files and a folder of contents."""

from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from edge.request_tokens import MakeTokens, local_tokens
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
    Parser,
    Quarantine,
    SearchIndex,
    SpamScanner,
    Uploads,
    VirusScanner,
)
from mail.ports.relay_queue import RelayQueueStore
from mail.ports.submissions import Submissions
from operations.rebuild import WholeIndex
from parsing.pool import ParserPool
from scanners.clamd import ClamdScanner, ClamdScannerConfig
from scanners.socket_client import ScannerAddress
from scanners.spamd import SpamdScanner, SpamdScannerConfig
from stack.state_folder import existing
from stores.sqlite.attempts import SqliteAttempts
from stores.sqlite.content_store import CACHE_KIB as CONTENT_CACHE_KIB
from stores.sqlite.content_store import SqliteContentConfig, SqliteContentStore
from stores.sqlite.database_file import CommitTimes, SqliteConfig
from stores.sqlite.directory.store import SqliteDirectory
from stores.sqlite.holders import SqliteHolders
from stores.sqlite.ledger import SqliteLedger
from stores.sqlite.mail_store.store import SqliteMailStore
from stores.sqlite.outline_store import CACHE_KIB as OUTLINES_CACHE_KIB
from stores.sqlite.outline_store import SqliteOutlineStore
from stores.sqlite.quarantine import SqliteQuarantine
from stores.sqlite.relay_queue import SqliteRelayQueue
from stores.sqlite.search.bucket_file import SEARCH_SQLITE, SqliteSearchConfig
from stores.sqlite.search.index import SqliteSearchIndex
from stores.sqlite.submissions import SqliteSubmissions
from stores.sqlite.uploads import SqliteUploads


class _Store(Protocol):
    async def close(self) -> None: ...


S = TypeVar("S", bound=_Store)


class Adapters:
    """Opens adapters on demand and closes them together, in reverse order.

    With `existing`, a file that is missing or has an older schema raises StoreUnavailable; without,
    it is created or migrated.
    """

    def __init__(
        self,
        home: Path,
        stack: AsyncExitStack,
        *,
        existing: bool = False,
        commit_times: CommitTimes | None = None,
        scanners: Mapping[str, ScannerAddress] | None = None,
    ) -> None:
        self._home = home
        self._scanners = scanners or {}  # those that run elsewhere
        self._data = home / "data"
        self._stack = stack
        self.commit_times = commit_times or CommitTimes()
        self._sqlite = SqliteConfig(existing=existing, commit_times=self.commit_times)

    async def mail_store(self) -> MailStore:
        return await self._opened(SqliteMailStore.open(self._data / "mail.sqlite", self._sqlite))

    async def directory(self) -> Directory:
        return await self._opened(
            SqliteDirectory.open(self._data / "directory.sqlite", self._sqlite)
        )

    async def attempts(self) -> Attempts:
        config = replace(self._sqlite, readers=1, cache_kib=1024)
        return await self._opened(SqliteAttempts.open(self._data / "attempts.sqlite", config))

    async def quarantine(self) -> Quarantine:
        return await self._opened(
            SqliteQuarantine.open(self._data / "quarantine.sqlite", self._sqlite)
        )

    async def submissions(self) -> Submissions:
        return await self._opened(
            SqliteSubmissions.open(self._data / "submissions.sqlite", self._sqlite)
        )

    async def relay_queue(self) -> RelayQueueStore:
        """The queue, for its role and for operators."""
        return await self._opened(SqliteRelayQueue.open(self._data / "relay.sqlite", self._sqlite))

    async def holders(self) -> Holders:
        return await self._opened(SqliteHolders.open(self._data / "holders.sqlite", self._sqlite))

    async def ledger(self) -> Ledger:
        return await self._opened(SqliteLedger.open(self._data / "ledger.sqlite", self._sqlite))

    async def contents(self) -> ContentStore:
        return await self._contents()

    async def content_sweep(self) -> ContentSweep:
        return await self._contents()

    async def content_packing(self) -> ContentPacking | None:
        """The packing of small contents; None: this profile keeps them where they are."""
        return None

    async def _contents(self) -> SqliteContentStore:
        config = SqliteContentConfig(sqlite=replace(self._sqlite, cache_kib=CONTENT_CACHE_KIB))
        return await self._opened(
            SqliteContentStore.open(self._data / "content.sqlite", self._home / "content", config)
        )

    async def outlines(self) -> OutlineStore:
        config = replace(self._sqlite, cache_kib=OUTLINES_CACHE_KIB)
        return await self._opened(SqliteOutlineStore.open(self._data / "outlines.sqlite", config))

    async def uploads(self) -> Uploads:
        config = replace(self._sqlite, readers=1, cache_kib=1024)
        return await self._opened(SqliteUploads.open(self._data / "uploads.sqlite", config))

    async def search(self) -> SearchIndex:
        sqlite = replace(SEARCH_SQLITE, commit_times=self.commit_times)
        index = SqliteSearchIndex(self._data / "search", SqliteSearchConfig(sqlite=sqlite))
        self._stack.push_async_callback(index.close)
        return index

    async def whole_index(self) -> WholeIndex | None:
        """The index as one that is filled while it is searched; None: it is emptied before."""
        return None

    def tokens_for_requests(self) -> MakeTokens:
        return local_tokens

    def parser(self) -> Parser:
        parser = ParserPool()
        self._stack.push_async_callback(parser.close)
        return parser

    async def _opened(self, opening: Awaitable[S]) -> S:
        """Return the store once it is open; `stack` closes it."""
        store = await opening
        self._stack.push_async_callback(store.close)
        return store

    def _scanner(self, engine: str) -> ScannerAddress:
        return self._scanners.get(engine) or existing(self._home).socket(engine)

    def virus(self) -> VirusScanner:
        return ClamdScanner(ClamdScannerConfig(address=self._scanner("clamd")))

    def spam(self) -> SpamScanner:
        return SpamdScanner(SpamdScannerConfig(address=self._scanner("spamd")))

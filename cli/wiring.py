"""Which adapter stands behind which port. The one place that knows both sides.

Embedded profile: SQLite, synced local content, FTS5, clamd and spamd over unix sockets.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from cli.addresses import load_running
from cli.config import Config, load
from mail.errors import Refused
from mail.ports import (
    Attempts,
    ContentStore,
    ContentSweep,
    Directory,
    Holders,
    Ledger,
    MailStore,
    Parser,
    Quarantine,
    SearchIndex,
    SpamScanner,
    VirusScanner,
)
from stack.home import HomeError, existing
from stack.privileges import PrivilegeError, become
from stores.certificate import Certificate, Pair
from stores.clamd import ClamdScanner, ClamdScannerConfig
from stores.fts import FtsIndex
from stores.own_certificate import CERTIFICATE, KEY, ensure_own
from stores.packed_content import CACHE_KIB as CONTENT_CACHE_KIB
from stores.packed_content import PackedContentConfig, PackedContentStore
from stores.parser.pool import ParserPool
from stores.spamd import SpamdScanner, SpamdScannerConfig
from stores.sqlite_attempts import SqliteAttempts
from stores.sqlite_base import SqliteConfig
from stores.sqlite_directory import SqliteDirectory
from stores.sqlite_holders import SqliteHolders
from stores.sqlite_ledger import SqliteLedger
from stores.sqlite_mail import SqliteMailStore
from stores.sqlite_quarantine import SqliteQuarantine
from streams.config import Bootstrap


class Adapters:
    """Opens adapters on demand and closes them together, last first.

    `existing`: files that are not there, or of an older schema, are StoreUnavailable.
    """

    def __init__(self, home: Path, stack: AsyncExitStack, *, existing: bool = False) -> None:
        self._home = home
        self._data = home / "data"
        self._stack = stack
        self._sqlite = SqliteConfig(existing=existing)

    async def mail_store(self) -> MailStore:
        store = await SqliteMailStore.open(self._data / "mail.sqlite", self._sqlite)
        self._stack.push_async_callback(store.close)
        return store

    async def directory(self) -> Directory:
        store = await SqliteDirectory.open(self._data / "directory.sqlite", self._sqlite)
        self._stack.push_async_callback(store.close)
        return store

    async def attempts(self) -> Attempts:
        config = replace(self._sqlite, readers=1, cache_kib=1024)
        store = await SqliteAttempts.open(self._data / "attempts.sqlite", config)
        self._stack.push_async_callback(store.close)
        return store

    async def quarantine(self) -> Quarantine:
        store = await SqliteQuarantine.open(self._data / "quarantine.sqlite", self._sqlite)
        self._stack.push_async_callback(store.close)
        return store

    async def holders(self) -> Holders:
        store = await SqliteHolders.open(self._data / "holders.sqlite", self._sqlite)
        self._stack.push_async_callback(store.close)
        return store

    async def ledger(self) -> Ledger:
        store = await SqliteLedger.open(self._data / "ledger.sqlite", self._sqlite)
        self._stack.push_async_callback(store.close)
        return store

    async def contents(self) -> ContentStore:
        return await self._contents()

    async def content_sweep(self) -> ContentSweep:
        return await self._contents()

    async def _contents(self) -> PackedContentStore:
        config = PackedContentConfig(sqlite=replace(self._sqlite, cache_kib=CONTENT_CACHE_KIB))
        store = await PackedContentStore.open(
            self._data / "content.sqlite", self._home / "content", config
        )
        self._stack.push_async_callback(store.close)
        return store

    async def search(self) -> SearchIndex:
        index = FtsIndex(self._data / "search")
        self._stack.push_async_callback(index.close)
        return index

    def parser(self) -> Parser:
        parser = ParserPool()
        self._stack.push_async_callback(parser.close)
        return parser

    def _socket(self, engine: str) -> Path:
        return existing(self._home).socket(engine)

    def virus(self) -> VirusScanner:
        return ClamdScanner(ClamdScannerConfig(address=self._socket("clamd")))

    def spam(self) -> SpamScanner:
        return SpamdScanner(SpamdScannerConfig(address=self._socket("spamd")))


def pair_of(config: Config) -> Pair:
    """The operator's certificate and key, else our own, which is perhaps not made yet."""
    if config.tls_cert and config.tls_key:
        return Pair(config.tls_cert, config.tls_key)
    return Pair(config.home / "tls" / CERTIFICATE, config.home / "tls" / KEY)


def certificate_of(config: Config) -> Certificate:
    """Ready to be presented; our own is made when there is none. BadCertificate: of no use."""
    if config.tls_cert is None:
        ensure_own(config.home / "tls", config.hostname)
    return Certificate(pair_of(config))


def become_owner(config: Config) -> None:
    """As root, become the owner of the state folder. Refused: there is none that we can use."""
    try:
        existing(config.home)
        become(config.home)
    except (HomeError, PrivilegeError) as error:
        raise Refused(str(error)) from error


def bootstrap() -> Bootstrap:
    """The broker's address, for commands that read events: never as root. Refused."""
    config = load_running()
    become_owner(config)
    return config.bootstrap


@asynccontextmanager
async def adapters(config: Config) -> AsyncIterator[Adapters]:
    """Adapters of the state folder in `config`; as root, we become its owner first.

    They use what the start of the stack has made (cli/stores.py). Refused: there is no state folder
    yet, or it is not one that we can use.
    """
    become_owner(config)
    async with AsyncExitStack() as stack:
        yield Adapters(config.home, stack, existing=True)


@asynccontextmanager
async def open_directory() -> AsyncIterator[Directory]:
    async with adapters(load()) as opened:
        yield await opened.directory()


@asynccontextmanager
async def open_quarantine() -> AsyncIterator[Quarantine]:
    async with adapters(load()) as opened:
        yield await opened.quarantine()


@asynccontextmanager
async def open_mail_store() -> AsyncIterator[MailStore]:
    async with adapters(load()) as opened:
        yield await opened.mail_store()

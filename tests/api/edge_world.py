"""An edge on a real port over memory adapters, and a mailbox behind it that carries out orders."""

import time
from dataclasses import dataclass, field

import aiohttp
import msgspec
from aiohttp import web

from api.app import make_app, start
from api.config import ApiConfig
from api.edge import EDGE, Edge
from api.ports import ApiPorts
from mail.errors import BrokerUnavailable
from mail.ids import message_id as message_id_of
from mail.ids import new_id
from mail.parse import read_head
from mail.passwords import hash_password
from mail.ports import Commit, Publisher
from schemas.content import Stored
from schemas.events import (
    ChangeKeywords,
    CommandAnswered,
    Delivered,
    Event,
    MailboxChanged,
    MailboxEvent,
    Position,
)
from schemas.mail import Hop, Verdict
from schemas.mailbox import SEEN, FolderCounts, MailboxState, Message
from schemas.records import Domain, IndexDocument, User
from stores.memory import MemoryContentStore, MemoryDirectory, MemoryFeed, MemoryMailStore
from stores.memory_search import MemorySearchIndex

PASSWORDS = {"alice": "correct horse", "bob": "battery staple"}
HASHES = {name: hash_password(password) for name, password in PASSWORDS.items()}
CLEAN = Verdict(outcome="clean", spam_score=1.5, spam_tests=("HTML_MESSAGE",))
HOPS = (
    Hop(stage="scan", started_at_ms=1_767_225_600_123, took_ms=12.5, verdict="clean", attempt=1,
        worker="w1"),
)  # fmt: skip
PLAIN = (
    b"From: Bob <bob@postriver.test>\r\nTo: alice@postriver.test\r\nSubject: %s\r\n\r\nHello\r\n"
)


class Mailboxes(Publisher):
    """The one writer: carries out commands and tells the feed. `deaf` leaves them in the log."""

    def __init__(self, store: MemoryMailStore, feed: MemoryFeed) -> None:
        self.store, self.feed = store, feed
        self.commands: list[ChangeKeywords] = []
        self.deaf = self.down = False

    async def publish(self, *events: Event) -> None:
        if self.down:
            raise BrokerUnavailable
        for event in events:
            assert isinstance(event, ChangeKeywords)
            self.commands.append(event)
            if not self.deaf:
                self.feed.emit(await self._change(event))

    async def _change(self, command: ChangeKeywords) -> MailboxEvent:
        row = await self.store.message(command.user_id, command.message_id)
        assert row is not None
        keywords = tuple(sorted({*row.keywords, *command.add} - {*command.remove}))
        if keywords == row.keywords:
            return CommandAnswered(
                user_id=command.user_id,
                domain_id=command.domain_id,
                command_id=command.command_id,
                outcome="unchanged",
            )
        return await self.write(row, "updated", command.command_id, keywords)

    async def write(
        self, row: Message, change: str, command_id: str, keywords: tuple[str, ...]
    ) -> MailboxChanged:
        state = await self.store.load(row.user_id)
        seq = state.seq + 1
        unread = int(SEEN not in keywords) - int(change != "created" and SEEN not in row.keywords)
        counts = tuple(
            _counted(state, folder, total=int(change == "created"), unread=unread)
            for folder in row.places
        )
        created_seq = seq if change == "created" else row.created_seq
        after = msgspec.structs.replace(
            row, keywords=keywords, changed_seq=seq, created_seq=created_seq
        )
        position = Position("e", 0, seq)
        entry = MailboxChanged(
            user_id=row.user_id,
            domain_id=row.domain_id,
            seq=seq,
            command_id=command_id,
            position=position,
            change=change,
            message_id=row.message_id,
            places=row.places,
            keywords=keywords,
            folders=counts,
            at_ms=row.received_at_ms,
            delivered=_delivered(row) if change == "created" else None,
        )
        folders = {**state.folders, **{one.id: one for one in counts}}
        new = MailboxState(seq=seq, epoch="e", partition=0, offset=seq, folders=folders)
        await self.store.commit(Commit(entry=entry, message=after, state=new))
        return entry


def _counted(state: MailboxState, folder: str, *, total: int, unread: int) -> FolderCounts:
    now = state.folders.get(folder) or FolderCounts(folder)
    return msgspec.structs.replace(
        now, total=now.total + total, unread=now.unread + unread, next_uid=now.next_uid + total
    )


def _delivered(row: Message) -> Delivered:
    return Delivered(
        mail_id=row.mail_id,
        content=row.content,
        received_at_ms=row.received_at_ms,
        verdict=row.verdict,
        hops=row.hops,
    )


@dataclass
class World:
    """Everything behind one edge, and clients in front of it."""

    config: ApiConfig = field(default_factory=lambda: ApiConfig(port=0))
    contents: MemoryContentStore = field(default_factory=MemoryContentStore)
    directory: MemoryDirectory = field(default_factory=MemoryDirectory)
    store: MemoryMailStore = field(default_factory=MemoryMailStore)
    search: MemorySearchIndex = field(default_factory=MemorySearchIndex)
    feed: MemoryFeed = field(default_factory=MemoryFeed)
    reasons: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    clients: list[aiohttp.ClientSession] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mailboxes = Mailboxes(self.store, self.feed)

    async def open(self) -> None:
        ports = ApiPorts(
            store=self.store,
            contents=self.contents,
            directory=self.directory,
            search=self.search,
            publisher=self.mailboxes,
            feed=self.feed,
        )
        app = make_app(self.config, ports, lambda: self.reasons, warnings=lambda: self.warnings)
        self.edge: Edge = app[EDGE]
        self.runner: web.AppRunner
        self.runner, self.port = await start(app)
        self.url = f"http://127.0.0.1:{self.port}"
        await self._add_users()

    async def _add_users(self) -> None:
        domain = Domain(domain_id="d", name="postriver.test", created_at_ms=0)
        await self.directory.add_domain(domain, self._user("postmaster", ""))
        for name, hashed in HASHES.items():
            await self.directory.add_user(self._user(name, hashed))

    def _user(self, name: str, hashed: str) -> User:
        return User(
            user_id=name,
            domain_id="d",
            address=f"{name}@postriver.test",
            disabled=False,
            created_at_ms=0,
            password_hash=hashed,
        )

    async def close(self) -> None:
        for client in self.clients:
            await client.close()
        await self.runner.cleanup()

    def client(self, token: str | None = None, **headers: str) -> aiohttp.ClientSession:
        """A client without cookies, unless a header gives them."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        client = aiohttp.ClientSession(
            self.url, headers=headers, cookie_jar=aiohttp.DummyCookieJar()
        )
        self.clients.append(client)
        return client

    async def token(self, name: str = "alice") -> str:
        async with self.client().post("/v1/login", json=self.credentials(name)) as response:
            assert response.status == 200, await response.text()
            return str((await response.json())["token"])

    def credentials(self, name: str) -> dict[str, str]:
        return {"address": f"{name}@postriver.test", "password": PASSWORDS[name]}

    async def signed(self, name: str = "alice") -> aiohttp.ClientSession:
        return self.client(await self.token(name))

    async def deliver(
        self,
        content: bytes = PLAIN % b"Hello",
        *,
        name: str = "alice",
        at_ms: int | None = None,
        folder: str = "inbox",
    ) -> Message:
        """As `route` and `mailbox` would: content, journal, views, search, then the event."""
        row, entry = await self.place(content, name=name, at_ms=at_ms, folder=folder)
        self.feed.emit(entry)
        return row

    async def place(
        self, content: bytes, *, name: str, at_ms: int | None = None, folder: str = "inbox"
    ) -> tuple[Message, MailboxChanged]:
        mail_id = new_id()
        stored = await self.contents.put(mail_id, content)
        row = self._row(name, mail_id, stored, content, at_ms, folder)
        entry = await self.mailboxes.write(row, "created", new_id(), ())
        await self.search.add(_document(row))
        kept = await self.store.message(name, row.message_id)
        assert kept is not None
        return kept, entry

    def _row(
        self,
        name: str,
        mail_id: str,
        stored: Stored,
        content: bytes,
        at_ms: int | None,
        folder: str,
    ) -> Message:
        return Message(
            message_id=message_id_of(mail_id, name),
            user_id=name,
            domain_id="d",
            mail_id=mail_id,
            places={folder: 1},
            keywords=(),
            created_seq=0,
            changed_seq=0,
            received_at_ms=at_ms or time.time_ns() // 1_000_000,
            content=stored,
            head=read_head(content),
            verdict=CLEAN,
            hops=HOPS,
        )


def _document(row: Message) -> IndexDocument:
    return IndexDocument(
        message_id=row.message_id,
        user_id=row.user_id,
        domain_id=row.domain_id,
        received_at_ms=row.received_at_ms,
        subject=row.head.subject,
        sender=row.head.sender.address if row.head.sender else "",
        recipients="",
        body=row.head.preview,
        filenames="",
    )

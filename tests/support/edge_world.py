"""An API on a real port over memory adapters, with a mailbox agent that executes its commands."""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from agents.mailbox import mailbox
from agents.ports import SubmissionPorts
from agents.submission import submission
from api.app import make_app, start
from api.config import ApiConfig
from api.context import CONTEXT, AppContext
from api.http.image_proxy import ImageProxy
from api.http.one_click import OneClickClient
from api.ports import ApiPorts
from edge.request_tokens import MakeTokens, local_tokens
from mail.directory.passwords import hash_password
from mail.errors import BrokerUnavailable
from mail.ids import message_id as message_id_of
from mail.ids import new_id
from mail.mime.message_parser import read_head
from mail.ports import Attempt, IntakeGate, Parser, Publisher
from parsing.in_process import InProcessParser
from scanners.memory import MemoryVirusScanner
from schemas.content import Inline
from schemas.directory import Domain, User
from schemas.events.mailbox_commands import Command, Deliver
from schemas.events.mailbox_events import CommandAnswered, MailboxChanged, MailboxEvent, Position
from schemas.events.sending import MailSubmitted, SubmissionCommand, Submit
from schemas.events.unions import Event
from schemas.mail import Hop, Verdict
from schemas.mailbox import Message
from schemas.search import IndexDocument
from schemas.submissions import RequestedRecipient, SubmittedMail
from stores.memory import (
    MemoryAttempts,
    MemoryContentStore,
    MemoryDirectory,
    MemoryHolders,
    MemoryLiveEvents,
    MemoryMailStore,
    MemoryOutlineStore,
    MemorySubmissions,
    MemoryUploads,
)
from stores.memory.search_index import MemorySearchIndex
from tests.support.admin_world import AdminWorld
from tests.support.agent_builders import OneTry, mailbox_ports

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
HTML = b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n"  # before PLAIN: the same as HTML


class SuccessfulAttempt(Attempt):
    """An attempt that succeeds; `finish` calls what the agent registered by `after_publish`."""

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self._callbacks: list[Callable[[], None]] = []

    @property
    def position(self) -> Position:
        return Position("e", 0, self._offset)

    @property
    def origins(self) -> tuple[Position, ...]:
        return ()

    @property
    def attempt(self) -> int:
        return 1

    def hop(self, verdict: str) -> Hop:
        raise NotImplementedError(verdict)

    def after_publish(self, then: Callable[[], None]) -> None:
        self._callbacks.append(then)

    def finish(self) -> None:
        for callback in self._callbacks:
            callback()


class Gate(IntakeGate):
    """A gate that is closed while it has a reason."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def closed(self) -> str | None:
        return self.reason


class Mailboxes(Publisher):
    """Publisher that runs the mailbox agent on each command; the log begins after `offset`.

    `deaf`: commands are recorded but not executed. `ahead`: commands of other publishers, which the
    log gets before the next published command.
    """

    def __init__(
        self,
        store: MemoryMailStore,
        feed: MemoryLiveEvents,
        offset: int = 0,
        sending: SubmissionPorts | None = None,
    ) -> None:
        self._ports = mailbox_ports(store=store)
        self._sending = sending
        self.submitted: list[MailSubmitted] = []
        self._feed = feed
        self._lock = asyncio.Lock()
        self._offset = offset
        self.commands: list[Command] = []
        self.ahead: list[Command] = []
        self.deaf = self.down = False

    async def publish(self, *events: Event) -> None:
        if self.down:
            raise BrokerUnavailable
        ahead, self.ahead = self.ahead, []
        for event in (*ahead, *events):
            if isinstance(event, SubmissionCommand):
                await self._submission(event)
                continue
            assert isinstance(event, Command)
            self.commands.append(event)
            if not self.deaf:
                result = await self.carry_out(event)
                self._feed.emit(result)
                if isinstance(result, MailboxChanged) and result.follow_up:
                    await self.publish(result.follow_up)

    async def _submission(self, event: SubmissionCommand) -> None:
        """Run the agent of submissions; keep the mails that it sends."""
        assert self._sending is not None
        self._offset += 1
        outputs = await submission(event, OneTry(offset=self._offset), self._sending)
        self.submitted += [each for each in outputs if isinstance(each, MailSubmitted)]
        await self.publish(*(each for each in outputs if isinstance(each, Command)))

    async def carry_out(self, command: Command) -> MailboxEvent:
        """Execute commands one at a time, as the partition's owner does; return the event."""
        async with self._lock:
            self._offset += 1
            attempt = SuccessfulAttempt(self._offset)
            event, *_ = await mailbox(command, attempt, self._ports)
            attempt.finish()
        assert isinstance(event, MailboxChanged | CommandAnswered)
        return event


@dataclass
class World:
    """One API process with its memory adapters and its clients."""

    config: ApiConfig = field(default_factory=lambda: ApiConfig(port=0))
    contents: MemoryContentStore = field(default_factory=MemoryContentStore)
    outlines: MemoryOutlineStore = field(default_factory=MemoryOutlineStore)
    holders: MemoryHolders = field(default_factory=MemoryHolders)
    gate: Gate = field(default_factory=Gate)
    uploads: MemoryUploads = field(default_factory=MemoryUploads)
    make_tokens: MakeTokens = local_tokens
    submissions: MemorySubmissions = field(default_factory=MemorySubmissions)
    virus: MemoryVirusScanner = field(default_factory=MemoryVirusScanner)
    directory: MemoryDirectory = field(default_factory=MemoryDirectory)
    attempts: MemoryAttempts = field(default_factory=MemoryAttempts)
    store: MemoryMailStore = field(default_factory=MemoryMailStore)
    search: MemorySearchIndex = field(default_factory=MemorySearchIndex)
    parser: Parser = field(default_factory=InProcessParser)
    feed: MemoryLiveEvents = field(default_factory=MemoryLiveEvents)
    reasons: list[str] = field(default_factory=list)
    desk: AdminWorld = field(default_factory=AdminWorld)
    tls: ssl.SSLContext | None = None
    one_click: OneClickClient | None = None
    images: ImageProxy | None = None
    clients: list[aiohttp.ClientSession] = field(default_factory=list)

    def __post_init__(self) -> None:
        sending = SubmissionPorts(
            submissions=self.submissions,
            contents=self.contents,
            holders=self.holders,
            hostname="mx.postriver.test",
        )
        self.mailboxes = Mailboxes(self.store, self.feed, sending=sending)

    async def open(self) -> None:
        await self.serve()
        await self._add_users()

    async def serve(self) -> None:
        """Start the API process; after `stop` again, over the same stores."""
        ports = ApiPorts(
            store=self.store,
            contents=self.contents,
            outlines=self.outlines,
            holders=self.holders,
            submissions=self.submissions,
            virus=self.virus,
            uploads=self.uploads,
            gate=self.gate,
            domains=self.directory,
            users=self.directory,
            settings=self.directory,
            addresses=self.directory,
            app_passwords=self.directory,
            sessions=self.directory,
            sign_ins=self.directory,
            attempts=self.attempts,
            make_tokens=self.make_tokens,
            search=self.search,
            publisher=self.mailboxes,
            feed=self.feed,
            parser=self.parser,
            one_click=self.one_click,
            images=self.images,
            admin=self.desk.ports(self.directory, self.submissions, self.store),
        )
        app = make_app(self.config, ports, lambda: self.reasons)
        self.context: AppContext = app[CONTEXT]
        self.runner: web.AppRunner
        self.runner, self.port = await start(app, tls=self.tls)
        self.url = f"http{'s' * bool(self.tls)}://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """End the API process; its port, which must be fixed, refuses connections until `serve`."""
        await self.runner.cleanup()

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
        """A client without a cookie jar; `headers` may have a Cookie."""
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

    async def operator(self, name: str = "alice") -> aiohttp.ClientSession:
        """A client of an operator who has just signed in."""
        await self.directory.set_role(name, "operator")
        return await self.signed(name)

    async def signed(self, name: str = "alice") -> aiohttp.ClientSession:
        return self.client(await self.token(name))

    async def hold(self, name: str, to: str) -> str:
        """Submit a mail that is held for a day; return the submission's id."""
        at_ms, mail_id = time.time_ns() // 1_000_000, new_id()
        mail = SubmittedMail(
            mail_id=mail_id,
            reverse_path=f"{name}@postriver.test",
            recipients=(RequestedRecipient(address=to),),
            content=Inline(PLAIN % b"Held"),
        )
        command = Submit(
            command_id=new_id(), user_id=name, domain_id="d", mail=mail, at_ms=at_ms,
            fire_at_ms=at_ms + 86_400_000,
        )  # fmt: skip
        await self.mailboxes.publish(command)
        return mail_id

    async def deliver(
        self,
        content: bytes = PLAIN % b"Hello",
        *,
        name: str = "alice",
        at_ms: int | None = None,
        **fields: Any,
    ) -> Message:
        """Deliver as `route` and `mailbox` do: content, journal, views, index, then the event."""
        row, entry = await self.place(content, name=name, at_ms=at_ms, **fields)
        self.feed.emit(entry)
        return row

    async def place(
        self, content: bytes, *, name: str = "alice", at_ms: int | None = None, **fields: Any
    ) -> tuple[Message, MailboxChanged]:
        """As `deliver`, but return the event instead of emitting it."""
        command = await self._deliver(content, name, at_ms, fields)
        entry = await self.mailboxes.carry_out(command)
        row = await self.store.message(name, command.message_id)
        assert row is not None
        assert isinstance(entry, MailboxChanged)
        await self.search.add(_document(row))
        return row, entry

    async def _deliver(
        self, content: bytes, name: str, at_ms: int | None, fields: dict[str, Any]
    ) -> Deliver:
        mail_id = new_id()
        at_ms = at_ms or time.time_ns() // 1_000_000
        return Deliver(
            command_id=new_id(),
            user_id=name,
            domain_id="d",
            message_id=message_id_of(mail_id, name),
            mail_id=mail_id,
            **{"folder_id": "inbox", "keywords": (), "verdict": CLEAN, **fields},
            content=await self.contents.put(mail_id, content),
            received_at_ms=at_ms,
            at_ms=at_ms,
            head=read_head(content),
            hops=HOPS,
        )


def _document(row: Message) -> IndexDocument:
    return IndexDocument(
        message_id=row.message_id,
        user_id=row.user_id,
        domain_id=row.domain_id,
        received_at_ms=row.received_at_ms,
        size_bytes=row.content.size_bytes,
        has_attachments=row.head.has_attachments,
        subject=row.head.subject,
        sender=row.head.sender.address if row.head.sender else "",
        to="",
        cc="",
        body=row.head.preview,
        filenames="",
    )

"""Pool of parser children, started on demand and replaced when they end.

A simple mail up to 32 KiB is parsed in the calling process. Other mails wait for one of
`children_max` threads; each thread uses one child. A mail that exceeds the limits is parsed again
as raw text, by a new child; if that exceeds the limits too, the response is empty.
A child may be killed from outside, for example by the kernel when memory is short. Its mail is
tried again: KILLS_MAX killed children count as exceeding the limits.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, pairwise
from typing import TypeVar, cast

import msgspec

from mail.errors import NotFound, ParserUnavailable
from mail.html.view_document import ViewDocument
from mail.mime.message_parser import Attachment, OutlinedHead, ParsedMessage, SearchableText
from mail.mime.parse_requests import (
    TEXT_MAX_CHARS,
    AttachmentList,
    FormSizes,
    ParseRequest,
    ParseResponse,
    failed_response,
    is_quick,
    run_request,
)
from mail.ports import Parser
from parsing.limits import ParserLimits
from parsing.process import PROGRAM, ParseLimitExceeded, ParserExited, ParserProcess
from schemas.mail import HeaderSummary
from schemas.outline import MailOutline

log = logging.getLogger(__name__)
T = TypeVar("T")
OVER_LIMIT_MAX = 256  # mails remembered as exceeding the limits, by SHA-256
CHILDREN_PER_MAIL_MAX = 6  # tried for one mail; an idle child may end just before the request
KILLS_MAX = 2  # children killed during one mail
_DECODERS: dict[str, msgspec.msgpack.Decoder[ParseResponse]] = {
    "head": msgspec.msgpack.Decoder(HeaderSummary),
    "outlined_head": msgspec.msgpack.Decoder(OutlinedHead),
    "outline": msgspec.msgpack.Decoder(MailOutline),
    "shown": msgspec.msgpack.Decoder(ParsedMessage),
    "viewed": msgspec.msgpack.Decoder(ViewDocument),
    "editable": msgspec.msgpack.Decoder(ParsedMessage),
    "words": msgspec.msgpack.Decoder(SearchableText),
    "attachment": msgspec.msgpack.Decoder(Attachment | None),
    "files": msgspec.msgpack.Decoder(AttachmentList),
    "forms": msgspec.msgpack.Decoder(FormSizes),
}


class ParserPool(Parser):
    """Parser with limits of memory and time for each mail.

    `close` ends the children; calls that are waiting raise ParserUnavailable.
    """

    def __init__(self, limits: ParserLimits | None = None, program: str = PROGRAM) -> None:
        self._program = program
        self._limits = limits or ParserLimits()
        self._threads = ThreadPoolExecutor(self._limits.children_max, thread_name_prefix="parser")
        self._idle: list[ParserProcess] = []
        self._busy: set[ParserProcess] = set()
        self._over_limit: OrderedDict[bytes, int] = OrderedDict()  # SHA-256: size
        self._closed = False

    async def close(self) -> None:
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in (*self._idle, *self._busy):
            child.kill()
        await asyncio.to_thread(self._threads.shutdown)
        for child in (*self._idle, *self._busy):
            child.end()
        self._idle.clear()

    async def head(self, content: bytes, *, isolated: bool = False) -> HeaderSummary:
        return await self._response(
            HeaderSummary, ParseRequest(operation="head"), content, isolated=isolated
        )

    async def outlined_head(self, content: bytes, *, isolated: bool = False) -> OutlinedHead:
        return await self._response(
            OutlinedHead, ParseRequest(operation="outlined_head"), content, isolated=isolated
        )

    async def outline(self, content: bytes) -> MailOutline:
        return await self._response(MailOutline, ParseRequest(operation="outline"), content)

    async def shown(self, content: bytes, *, text_max_chars: int) -> ParsedMessage:
        request = ParseRequest(operation="shown", text_max_chars=text_max_chars)
        return await self._response(ParsedMessage, request, content)

    async def viewed(
        self, content: bytes, *, text_max_chars: int, remote_images: bool = False
    ) -> ViewDocument:
        request = ParseRequest(
            operation="viewed", text_max_chars=text_max_chars, remote_images=remote_images
        )
        return await self._response(ViewDocument, request, content)

    async def editable(self, content: bytes) -> ParsedMessage:
        return await self._response(ParsedMessage, ParseRequest(operation="editable"), content)

    async def words(self, content: bytes) -> SearchableText:
        return await self._response(SearchableText, ParseRequest(operation="words"), content)

    async def attachment(self, content: bytes, n: int) -> tuple[Attachment, bytes]:
        response, octets = await self._respond(ParseRequest(operation="attachment", n=n), content)
        if not isinstance(response, Attachment):
            raise NotFound("no such attachment")
        return response, octets

    async def files(self, content: bytes) -> tuple[Sequence[Attachment], Sequence[bytes]]:
        listed, octets = await self._respond(ParseRequest(operation="files"), content)
        assert isinstance(listed, AttachmentList)
        sizes = (part.size_bytes for part in listed.attachments)
        ends = list(accumulate(sizes, initial=0))
        return listed.attachments, [octets[start:end] for start, end in pairwise(ends)]

    async def forms(self, content: bytes) -> Sequence[bytes] | None:
        request = ParseRequest(operation="forms", text_max_chars=TEXT_MAX_CHARS)
        forms, octets = await self._respond(request, content)
        assert isinstance(forms, FormSizes)
        if not forms.whole:
            return None
        ends = list(accumulate(forms.sizes, initial=0))
        return [octets[start:end] for start, end in pairwise(ends)]

    async def _response(
        self, kind: type[T], request: ParseRequest, content: bytes, *, isolated: bool = False
    ) -> T:
        response, _ = await self._respond(request, content, isolated=isolated)
        assert isinstance(response, kind)
        return response

    async def _respond(
        self, request: ParseRequest, content: bytes, *, isolated: bool = False
    ) -> tuple[ParseResponse, bytes]:
        if not isolated and is_quick(content, self._limits.in_process_max_bytes):
            return run_request(request, content)
        if self._closed:
            raise ParserUnavailable("closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._within_limits, request, content)

    def _within_limits(self, request: ParseRequest, content: bytes) -> tuple[ParseResponse, bytes]:
        """Return the response, or of the raw mail, or an empty response. Runs in a thread."""
        if not self._is_over_limit(content):
            try:
                return self._by_child(request, content)
            except ParseLimitExceeded as reason:
                log.warning("a mail of %d bytes is shown raw: %s", len(content), reason)
                self._remember_over_limit(content)
        if request.operation != "attachment":
            try:
                return self._by_child(msgspec.structs.replace(request, raw=True), content)
            except ParseLimitExceeded as reason:
                log.warning("a mail of %d bytes is not parsed at all: %s", len(content), reason)
        return failed_response(request.operation, len(content)), b""

    def _by_child(self, request: ParseRequest, content: bytes) -> tuple[ParseResponse, bytes]:
        kills = 0
        for _ in range(CHILDREN_PER_MAIL_MAX):
            child = self._acquire_child()
            try:
                response, octets = child.parse(request, content, self._limits)
                decoded = _DECODERS[request.operation].decode(response)
            except msgspec.MsgspecError as error:
                child.end()
                raise ParseLimitExceeded("the child sent a malformed response") from error
            except ParserExited as error:
                if self._closed:
                    raise ParserUnavailable("closed") from error
                kills += error.was_killed
                if kills >= KILLS_MAX:
                    raise ParseLimitExceeded(f"{kills} children were killed") from error
            else:
                self._idle.append(child)
                return decoded, octets
            finally:
                self._busy.discard(child)
        raise ParserUnavailable(f"{CHILDREN_PER_MAIL_MAX} children ended one after another")

    def _acquire_child(self) -> ParserProcess:
        """Return a running child. Safe in several threads: list operations are atomic."""
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                break
            child.end()
        else:
            child = ParserProcess.start(self._limits, self._program)
        self._busy.add(child)
        if self._closed:
            child.kill()
        return child

    def _remember_over_limit(self, content: bytes) -> None:
        self._over_limit[hashlib.sha256(content).digest()] = len(content)
        while len(self._over_limit) > OVER_LIMIT_MAX:
            self._over_limit.popitem(last=False)

    def _is_over_limit(self, content: bytes) -> bool:
        """Whether a mail with the same octets exceeded the limits before; compares sizes first."""
        sizes = cast("list[int]", list(self._over_limit.values()))
        return len(content) in sizes and hashlib.sha256(content).digest() in self._over_limit

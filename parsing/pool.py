"""Parser by a few child processes, started when they are needed and replaced when they end.

A common mail up to 32 KiB is parsed at once in this process. Any other waits for one of
`children_max` threads, each of which has one child. Beyond the limits a mail is asked for again
without its MIME structure, by a new child; beyond them again, the answer is empty.
A child that is killed from outside, as the kernel does when memory is short, is no proof against a
mail: such a mail is tried once more before it counts as beyond the limits.
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
from mail.mime.message_parser import Attachment, ParsedMessage, SearchableText
from mail.mime.parse_requests import (
    TEXT_MAX_CHARS,
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

log = logging.getLogger(__name__)
T = TypeVar("T")
BEYOND_KEPT = 256  # mails remembered as beyond the limits; SHA-256 each
CHILDREN_PER_MAIL_MAX = 6  # tried for one mail; each may end idle just when it is asked
BLAMES_MAX = 2  # children killed from outside, after which the mail is to blame
_DECODERS: dict[str, msgspec.msgpack.Decoder[ParseResponse]] = {
    "head": msgspec.msgpack.Decoder(HeaderSummary),
    "shown": msgspec.msgpack.Decoder(ParsedMessage),
    "words": msgspec.msgpack.Decoder(SearchableText),
    "attachment": msgspec.msgpack.Decoder(Attachment | None),
    "forms": msgspec.msgpack.Decoder(FormSizes),
}


class ParserPool(Parser):
    """Close it: children end with it, and calls that wait raise ParserUnavailable."""

    def __init__(self, limits: ParserLimits | None = None, program: str = PROGRAM) -> None:
        self._program = program
        self._limits = limits or ParserLimits()
        self._threads = ThreadPoolExecutor(self._limits.children_max, thread_name_prefix="parser")
        self._idle: list[ParserProcess] = []
        self._busy: set[ParserProcess] = set()
        self._beyond: OrderedDict[bytes, int] = OrderedDict()  # SHA-256: size
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

    async def head(self, content: bytes, *, apart: bool = False) -> HeaderSummary:
        return await self._answer(
            HeaderSummary, ParseRequest(operation="head"), content, apart=apart
        )

    async def shown(self, content: bytes, *, text_max_chars: int) -> ParsedMessage:
        asked = ParseRequest(operation="shown", text_max_chars=text_max_chars)
        return await self._answer(ParsedMessage, asked, content)

    async def words(self, content: bytes) -> SearchableText:
        return await self._answer(SearchableText, ParseRequest(operation="words"), content)

    async def attachment(self, content: bytes, n: int) -> tuple[Attachment, bytes]:
        answer, octets = await self._ask(ParseRequest(operation="attachment", n=n), content)
        if not isinstance(answer, Attachment):
            raise NotFound("no such attachment")
        return answer, octets

    async def forms(self, content: bytes) -> Sequence[bytes] | None:
        asked = ParseRequest(operation="forms", text_max_chars=TEXT_MAX_CHARS)
        found, octets = await self._ask(asked, content)
        assert isinstance(found, FormSizes)
        if not found.whole:
            return None
        ends = list(accumulate(found.sizes, initial=0))
        return [octets[start:end] for start, end in pairwise(ends)]

    async def _answer(
        self, kind: type[T], asked: ParseRequest, content: bytes, *, apart: bool = False
    ) -> T:
        answer, _ = await self._ask(asked, content, apart=apart)
        assert isinstance(answer, kind)
        return answer

    async def _ask(
        self, asked: ParseRequest, content: bytes, *, apart: bool = False
    ) -> tuple[ParseResponse, bytes]:
        if not apart and is_quick(content, self._limits.here_max_bytes):
            return run_request(asked, content)
        if self._closed:
            raise ParserUnavailable("closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._within_limits, asked, content)

    def _within_limits(self, asked: ParseRequest, content: bytes) -> tuple[ParseResponse, bytes]:
        """In a thread: the answer, or the best that the limits allow."""
        if not self._was_beyond(content):
            try:
                return self._by_child(asked, content)
            except ParseLimitExceeded as reason:
                log.warning("a mail of %d bytes is shown raw: %s", len(content), reason)
                self._remember(content)
        if asked.operation != "attachment":
            try:
                return self._by_child(msgspec.structs.replace(asked, raw=True), content)
            except ParseLimitExceeded as reason:
                log.warning("a mail of %d bytes is not read at all: %s", len(content), reason)
        return failed_response(asked.operation), b""

    def _by_child(self, asked: ParseRequest, content: bytes) -> tuple[ParseResponse, bytes]:
        blames = 0
        for _ in range(CHILDREN_PER_MAIL_MAX):
            child = self._take()
            try:
                answer, octets = child.ask(asked, content, self._limits)
                decoded = _DECODERS[asked.operation].decode(answer)
            except msgspec.MsgspecError as error:
                child.end()
                raise ParseLimitExceeded("an answer that cannot be read") from error
            except ParserExited as gone:
                if self._closed:
                    raise ParserUnavailable("closed") from gone
                blames += gone.blamed
                if blames >= BLAMES_MAX:
                    raise ParseLimitExceeded(f"{blames} children were killed") from gone
            else:
                self._idle.append(child)
                return decoded, octets
            finally:
                self._busy.discard(child)
        raise ParserUnavailable(f"{CHILDREN_PER_MAIL_MAX} children ended one after another")

    def _take(self) -> ParserProcess:
        """A child that lives; lists' own operations are atomic."""
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

    def _remember(self, content: bytes) -> None:
        self._beyond[hashlib.sha256(content).digest()] = len(content)
        while len(self._beyond) > BEYOND_KEPT:
            self._beyond.popitem(last=False)

    def _was_beyond(self, content: bytes) -> bool:
        """Whether these very octets were beyond the limits before; sizes are compared first."""
        sizes = cast("list[int]", list(self._beyond.values()))
        return len(content) in sizes and hashlib.sha256(content).digest() in self._beyond

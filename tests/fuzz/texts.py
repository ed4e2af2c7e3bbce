"""Fuzz targets for short texts: queries, addresses, SMTP and PROXY lines, cursors, JSON bodies."""

import asyncio
import ipaddress
import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

from api.push.websocket import ClientFrame
from api.rest.bulk_updates import MessageIds, MessagesPatch
from api.rest.folders import FolderPatch, NewFolder
from api.rest.login import LoginRequest
from api.rest.message_updates import MessagePatch
from edge import proxy_protocol
from mail.addresses import ADDRESS_MAX_BYTES, normal_address, split_address
from mail.errors import BadAddress, BadQuery, Refused
from mail.pagination import decode_cursor, encode_cursor
from mail.query.formatter import format_query
from mail.query.parser import parse
from mail.query.planner import node_of, plan_of, tiers
from mail.query.tree import QUERY_MAX_CHARS, TERMS_MAX, QueryContext, leaves
from mail.query.values import zone_of
from mail.search.executor import SearchRequest, execute_search
from smtp.server.command_syntax import mail_parameters, split_line, split_path
from smtp.server.replies import Rejection
from stores.memory import MemoryMailStore
from stores.memory.search_index import MemorySearchIndex
from tests.fuzz.target import Target, encoded, is_text, work_of

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
CALLS_PER_QUERY = 60_000
KINDS = (LoginRequest, ClientFrame, MessagePatch, MessagesPatch, MessageIds, NewFolder, FolderPatch)
NOW_MS = 1_767_225_600_000


def query(data: bytes) -> None:
    """A query is refused with a position, or its tree survives formatting and parsing."""
    text = data.decode("utf-8", "replace")
    context = QueryContext(now_ms=NOW_MS, zone=_zone(text))
    try:
        read, calls = work_of(lambda: parse(text, context))
    except BadQuery as error:
        assert 0 <= error.position <= min(len(text), QUERY_MAX_CHARS)
        return
    assert calls <= CALLS_PER_QUERY
    assert len(list(leaves(read.node))) <= TERMS_MAX
    written = format_query(read.node)
    if len(written) <= QUERY_MAX_CHARS:
        assert parse(written, context).node == read.node
    plan = plan_of(read.node)
    assert node_of(plan.index_query) is not None
    for order in ("date", "relevance"):
        request = SearchRequest(user_id="u", query=read, order=order, limit=1)
        result = asyncio.run(execute_search(MemorySearchIndex(), MemoryMailStore(), request))
        assert result.hits == ()
    assert tiers(read.node)


def _zone(text: str) -> Any:
    try:
        return zone_of(text.rpartition(" ")[2])
    except Refused:
        return zone_of("Asia/Seoul")


def address(data: bytes) -> None:
    """An address is refused, or its normal form is limited, clean and stable."""
    text = data.decode("utf-8", "replace")
    try:
        normal = normal_address(text)
    except BadAddress:
        return
    assert normal_address(normal) == normal
    assert len(normal.encode()) <= ADDRESS_MAX_BYTES
    assert not CONTROLS.search(normal)
    local, domain = split_address(normal)
    assert normal == f"{local}@{domain}"
    assert domain.isascii()


def command(data: bytes) -> None:
    """An SMTP line is refused by a reply, or has a path without control characters."""
    try:
        verb, arg = split_line(data)
        path, given = split_path(arg, "FROM:")
        mail_parameters(given)
    except Rejection as rejection:
        assert rejection.reply[:1] in {"4", "5"}
        assert not CONTROLS.search(rejection.reply)
        return
    assert is_text([verb, path, *given])
    assert not CONTROLS.search(verb + path)


def proxy_header(data: bytes) -> None:
    """A header is refused, or gives an address, and no octet after the header is consumed."""
    following = b"EHLO behind\r\n"
    result, left = asyncio.run(_read_proxy(data + following))
    if result == "refused":
        return
    assert (data + following).endswith(left)
    assert len(left) >= len(following) or not data.endswith(b"\n")
    if result is not None:
        assert str(ipaddress.ip_address(result)) == result


async def _read_proxy(data: bytes) -> tuple[str | None, bytes]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    try:
        address = await proxy_protocol.read_header(reader, within_s=5.0)
    except proxy_protocol.BadProxyHeader as error:
        assert not CONTROLS.search(str(error))
        return "refused", b""
    return address, await reader.read()


def cursor(data: bytes) -> None:
    """A forged cursor is refused, or is a position in the list of its own user."""
    text = data.decode("utf-8", "replace")
    _result_or_refused(lambda: decode_cursor(text, "u", "inbox"))
    request = SearchRequest(
        user_id="u", query=parse("riverbank", QueryContext(now_ms=NOW_MS)), limit=5, cursor=text
    )
    _result_or_refused(lambda: _search(request))
    for order in ("date", "relevance"):
        for way, in_lists in (("i", False), ("l", True)):
            for tier in range(4):
                scope = ("search", "u", request.query.cursor_scope, order, f"{in_lists} {tier} 7")
                signed = encode_cursor((len(text), text), *scope)
                forged = msgspec.structs.replace(
                    request, order=order, cursor=f"{way}{tier}.7.{signed}"
                )
                _result_or_refused(lambda forged=forged: _search(forged))


def _search(request: SearchRequest) -> None:
    result = asyncio.run(execute_search(MemorySearchIndex(), MemoryMailStore(), request))
    assert result.hits == ()


def _result_or_refused(do: Callable[[], object]) -> None:
    try:
        do()
    except Refused:
        pass


def body(data: bytes) -> None:
    """A body is refused with a detail that is valid text, or decodes to valid values."""
    for kind in KINDS:
        try:
            read = msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            assert is_text([str(error)])
            continue
        fields = msgspec.to_builtins(read)
        assert is_text(text for text in fields.values() if isinstance(text, str))
        assert not any(isinstance(value, float) and math.isnan(value) for value in fields.values())


QUERY_WORDS = encoded(
    "from:", "to:", "subject:", "body:", "filename:", "in:", "inbox", "anywhere", "is:unread",
    "is:", "has:attachment", "before:", "after:", "2026", "2026-11-24", "9999", "0001", "2026-13",
    "2026-11-24T10:00:00Z", "older_than:", "7d", "99999y", "larger:", "5M", "999999999999999G",
    "smaller:0", "OR", " OR ", " AND ", " NOT ", "-", "(", ")", '"', "“", "”", "*", " ", "  ", ":",
    "a", "word", "김치", "が", "ก", "ß", "İ", "ﬁ", "e\u0301", "\u200b", "\x00", "\ufffd", "http://",
    "with:", "bcc:", "header:", "header:x:", "contains:", "subject:(", "msgid:", "<", ">", "\t",
    "keyword:", "sent_before:", "sent_after:", "C:\\", "\u3000", "UTC", " Pacific/Apia", "Re:",
    "name:x", "🙂", "١", "²",
)  # fmt: skip
ADDRESS_WORDS = encoded(
    "a", "B", "ann", "@", "@@", ".", "..", '"', "\\", "<", ">", "+", "+x", "postmaster", "a.test",
    "xn--", "xn--fiq228c", "münchen", "例え", "。", "\u200d", "\u0301", "İ", "ß", "ſ", "[", "]",
    "[1.2.3.4]", "[IPv6:", "::1", "%", "-", "_", " ", "\t", "\x00", "\u2028", "x" * 60, "'", "(c)",
    "FROM:<", "> SIZE=", "MAIL ", "BODY=8BITMIME", "\r\n", ",", ":", "①", "ﷺ", "١",
)  # fmt: skip
PROXY_WORDS = (
    *encoded(
        "PROXY ", "TCP4 ", "TCP6 ", "UNKNOWN", "UNKNOWN\r\n", "192.0.2.7 ", "192.0.2.1 ", "::1 ",
        "::ffff:1.2.3.4 ", "fe80::1%eth0 ", "fe80::1%\n ", "56324 25\r\n", "65536", "25", "\r\n",
        "\r", "\n", " ", "01.2.3.4 ", "EHLO x\r\n", "\x00", "\x0c",
    ),
    b"\r\n\r\n\0\r\nQUIT\n", b"\x21\x11\x00\x0c", b"\x21\x21\x00\x24", b"\x20\x00\x00\x00", b"\x21",
    b"\x11", b"\xff\xff", b"\x7f\0\0\1\x7f\0\0\2\0\1\0\2", b"\0" * 36,
)  # fmt: skip
CURSOR_WORDS = encoded(
    "i0.", "l1.", "i2.", "0.", "999999999.", "A", "_", "-", "=", "k9M", "é", "\x00", "inbox", "\n",
)  # fmt: skip
JSON_WORDS = (
    *encoded(
        "{", "}", "[", "]", "[" * 2000, '{"unread":' * 500, ":", ",", '"', '"unread":',
        '"flagged":',
        '"address":', '"password":', '"type":', '"token":', "true", "false", "null", "NaN", "-0",
        "Infinity", "1e999", "1" * 400, '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', "\\", " ",
        "\ufeff", "//", '"x"', '{"unread":true', '{"unread":true,"unread":false}', "}" * 500,
        '{"type":"ping"}', '{"token":"a"}', '{"address":"a","password":"b"}',
    ),
    b"\xed\xa0\x80", b"\xff", b"\xc0\x80",
)  # fmt: skip
TARGETS = (
    Target("query", query, QUERY_WORDS, examples=200),
    Target("address", address, ADDRESS_WORDS, (b"", b"a@", b"@a.test")),
    Target("command", command, ADDRESS_WORDS, (b"MAIL FROM:<", b"")),
    Target("proxy", proxy_header, PROXY_WORDS, (b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n")),
    Target("cursor", cursor, CURSOR_WORDS, examples=60),
    Target("json", body, JSON_WORDS),
)

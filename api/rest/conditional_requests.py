"""Conditional requests (RFC 9110 §13): If-None-Match on reads, If-Match on changes.

The entity tag of a message is the mailbox state of its last change. The tag of a list or a folder
is the state of the mailbox: every step changes it, and it is compared before anything else is read.
"""

import re

from aiohttp import hdrs, web

from api.context import AuthenticatedHandler, AuthenticatedRequest
from api.problems import Problem
from schemas.mailbox import Message

_ENTITY_TAG = re.compile(r'(W/)?"([!#-~\x80-\xff]*)"')
_ANY = "*"


def message_etag(call: AuthenticatedRequest, row: Message) -> str:
    return seq_etag(call, row.changed_seq)


def seq_etag(call: AuthenticatedRequest, seq: int) -> str:
    return f'"{call.context.config.state(seq)}"'


def not_modified(request: web.Request, etag: str) -> web.Response | None:
    """304 if If-None-Match lists `etag` (weak comparison) or is `*`; else None."""
    header = request.headers.get(hdrs.IF_NONE_MATCH)
    if header is None:
        return None
    if header.strip() != _ANY and etag not in _etags(header, accept_weak=True):
        return None
    return web.Response(status=304, headers={hdrs.ETAG: etag})


def required_seq(call: AuthenticatedRequest, row: Message) -> int | None:
    """As `required_seq_of`, for a message."""
    return required_seq_of(call, row.changed_seq)


def required_seq_of(call: AuthenticatedRequest, changed_seq: int) -> int | None:
    """`changed_seq` if If-Match requires it; None for no If-Match or `*`.

    Raises Problem 412: If-Match does not list the tag of `changed_seq`.
    """
    header = call.request.headers.get(hdrs.IF_MATCH)
    if header is None or header.strip() == _ANY:
        return None
    if seq_etag(call, changed_seq) not in _etags(header, accept_weak=False):
        raise changed_meanwhile(call.request)
    return changed_seq


def changed_meanwhile(request: web.Request) -> Problem:
    """412 if the request has If-Match; else 409: it changed after the API read it."""
    status = 412 if hdrs.IF_MATCH in request.headers else 409
    return Problem(status, "changed_meanwhile", "It has changed meanwhile: read it again.")


def with_mailbox_etag(handler: AuthenticatedHandler) -> AuthenticatedHandler:
    """Decorate a handler whose response depends on the mailbox alone: add ETag, answer 304.

    The state is read before the handler runs, so the tag is never newer than the response.
    """

    async def conditional(call: AuthenticatedRequest) -> web.StreamResponse:
        etag = seq_etag(call, (await call.first_state()).seq)
        unchanged = not_modified(call.request, etag)
        if unchanged is not None and not _matches_any(call.request):
            return unchanged
        response = await handler(call)
        response.headers[hdrs.ETAG] = etag
        return unchanged or response

    return conditional


def _matches_any(request: web.Request) -> bool:
    """Whether If-None-Match is `*`: only the handler knows whether the resource exists."""
    return request.headers.get(hdrs.IF_NONE_MATCH, "").strip() == _ANY


def _etags(header: str, *, accept_weak: bool) -> set[str]:
    return {f'"{text}"' for weak, text in _ENTITY_TAG.findall(header) if accept_weak or not weak}

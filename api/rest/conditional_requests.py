"""Conditional requests (RFC 9110 §13): a copy that is still right, a change of what was seen.

A message's entity tag is the state of its mailbox that it was changed with. What is made of a whole
mailbox, such as a list, has the mailbox's: it changes with every step, and is looked at before
anything is read.
"""

import re

from aiohttp import hdrs, web

from api.context import AuthenticatedHandler, AuthenticatedRequest
from api.problems import Problem
from schemas.mailbox import Message

_TAG = re.compile(r'(W/)?"([!#-~\x80-\xff]*)"')
_ANY = "*"


def tag_of(call: AuthenticatedRequest, row: Message) -> str:
    return _tag(call, row.changed_seq)


def _tag(call: AuthenticatedRequest, seq: int) -> str:
    return f'"{call.edge.config.state(seq)}"'


def not_modified(request: web.Request, tag: str) -> web.Response | None:
    """304 when the client has what `tag` stands for (If-None-Match, compared weakly)."""
    header = request.headers.get(hdrs.IF_NONE_MATCH)
    if header is None or (header.strip() != _ANY and tag not in _tags(header, is_weak_good=True)):
        return None
    return web.Response(status=304, headers={hdrs.ETAG: tag})


def wanted_seq(call: AuthenticatedRequest, row: Message) -> int | None:
    """The `changed_seq` that a change depends on; None: it depends on none. 412."""
    header = call.request.headers.get(hdrs.IF_MATCH)
    if header is None or header.strip() == _ANY:
        return None
    if tag_of(call, row) not in _tags(header, is_weak_good=False):
        raise changed_meanwhile(call.request)
    return row.changed_seq


def changed_meanwhile(request: web.Request) -> Problem:
    """412 when the request has a condition; else 409: it was to destroy what was read."""
    status = 412 if hdrs.IF_MATCH in request.headers else 409
    return Problem(status, "changed_meanwhile", "The message was changed meanwhile: read it again.")


def of_mailbox(handler: AuthenticatedHandler) -> AuthenticatedHandler:
    """For what follows from the mailbox alone. The tag is taken first: it is never too new."""

    async def answer(call: AuthenticatedRequest) -> web.StreamResponse:
        tag = _tag(call, (await call.edge.ports.store.state(call.user_id)).seq)
        unchanged = not_modified(call.request, tag)
        if unchanged is not None and not _takes_any(call.request):
            return unchanged
        response = await handler(call)
        response.headers[hdrs.ETAG] = tag
        return unchanged or response

    return answer


def _takes_any(request: web.Request) -> bool:
    """Whether it is enough that there is something, which only the handler knows."""
    return request.headers.get(hdrs.IF_NONE_MATCH, "").strip() == _ANY


def _tags(header: str, *, is_weak_good: bool) -> set[str]:
    return {f'"{text}"' for weak, text in _TAG.findall(header) if is_weak_good or not weak}

"""One route: what is registered (api/app.py) and described (api/openapi.py)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from aiohttp import web

JSON = "application/json"
CHANGE_PROBLEMS = (400, 403, 404, 409, 413, 415, 503)  # of an order to a mailbox, with a body


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method and a path. `signed` routes answer 401 and 429 as well."""

    method: str
    path: str
    name: str  # the operation's id
    summary: str
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]]
    signed: bool
    query: tuple[str, ...] = ()  # described in api/openapi.py
    body: type[msgspec.Struct] | None = None
    answer: type[msgspec.Struct] | None = None
    frames: tuple[type[msgspec.Struct], ...] = ()  # of a WebSocket
    also: tuple[tuple[int, type[msgspec.Struct] | None], ...] = ()  # other successes
    media_type: str = JSON
    status: int = 200
    problems: tuple[int, ...] = ()
    conditions: tuple[str, ...] = ()  # conditional request fields that it looks at

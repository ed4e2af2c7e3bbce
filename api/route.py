"""Route declarations: each resource lists its own, api/routes.py concatenates the lists.

api/app.py registers a route, api/openapi.py describes it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import msgspec
from aiohttp import web

from api.context import (
    EDGE,
    USER_ID,
    AuthenticatedHandler,
    AuthenticatedRequest,
    RequestContext,
    RequestHandler,
)
from api.http.authentication import authenticate
from api.limits.request_rates import RATES
from api.limits.work_shares import on_the_loop
from api.problems import Problem
from mail.clock import now_ms

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(ABC):
    """A method and a path, with the description of its requests and responses."""

    common_problems: ClassVar[tuple[int, ...]] = (500,)  # of every route of the class
    security: ClassVar[tuple[str, ...]] = ()  # security schemes, each of which is sufficient

    method: str
    path: str
    name: str  # operationId
    summary: str
    query: tuple[str, ...] = ()  # names of the parameters; api/openapi.py has their schemas
    body: type[msgspec.Struct] | None = None
    status: int = 200
    response: type[msgspec.Struct] | None = None
    media_type: str = JSON  # of the response without a type
    frames: tuple[type[msgspec.Struct], ...] = ()  # that a WebSocket sends
    also: tuple[tuple[int, type[msgspec.Struct] | None], ...] = ()  # other successes
    problems: tuple[int, ...] = ()  # status codes in addition to `common_problems`
    conditions: tuple[str, ...] = ()  # conditional request fields that the handler evaluates

    @abstractmethod
    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Respond to `request`. Raises Problem: the request is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRoute(Route):
    """A route that needs no authentication."""

    handler: RequestHandler

    async def handle(self, request: web.Request) -> web.StreamResponse:
        return await self.handler(RequestContext(edge=request.app[EDGE], request=request))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatedRoute(Route):
    """A route for authenticated users; their requests and work are counted."""

    common_problems: ClassVar[tuple[int, ...]] = (400, 401, 429, 500, 503)
    security: ClassVar[tuple[str, ...]] = ("bearer", "cookie")

    handler: AuthenticatedHandler

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Authenticate before any other check, then charge the request and its work to the user."""
        edge = request.app[EDGE]
        try:
            caller = await authenticate(request, edge.config, edge.ports, now_ms())
        except Problem:
            edge.count_anonymous(request)
            raise
        user_id = request[USER_ID] = caller.user.user_id
        request[RATES] = edge.rates.take(user_id)
        edge.work.admit(user_id)
        work = self.handler(AuthenticatedRequest(edge=edge, request=request, caller=caller))
        return await on_the_loop(work, partial(edge.work.charge, user_id))

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
    CONTEXT,
    USER_ID,
    AuthenticatedHandler,
    AuthenticatedRequest,
    RequestContext,
    RequestHandler,
)
from api.http.authentication import authenticate
from api.limits.request_rates import RATES
from api.limits.work_shares import measure_loop_time
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
    octets: bool = False  # the body is a file of any media type
    headers: tuple[str, ...] = ()  # request fields that the handler reads, with `conditions`
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
        return await self.handler(RequestContext(context=request.app[CONTEXT], request=request))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatedRoute(Route):
    """A route for authenticated users; their requests and work are counted."""

    common_problems: ClassVar[tuple[int, ...]] = (400, 401, 429, 500, 503)
    security: ClassVar[tuple[str, ...]] = ("bearer", "cookie")

    handler: AuthenticatedHandler

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Authenticate before any other check, then charge the request and its work to the user."""
        context = request.app[CONTEXT]
        try:
            caller = await authenticate(request, context.config, context.ports, now_ms())
        except Problem:
            await context.count_anonymous(request)
            raise
        user_id = request[USER_ID] = caller.user.user_id
        request[RATES] = await context.request_rates.take(user_id)
        context.work_shares.admit(user_id)
        work = self.respond(AuthenticatedRequest(context=context, request=request, caller=caller))
        return await measure_loop_time(work, partial(context.work_shares.charge, user_id))

    async def respond(self, call: AuthenticatedRequest) -> web.StreamResponse:
        """Respond to an authenticated request; its work is counted."""
        return await self.handler(call)

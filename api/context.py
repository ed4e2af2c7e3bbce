"""What handlers share, and what one call brings."""

import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from api.config import ApiConfig
from api.http.authentication import AuthenticatedUser
from api.http.client_address import CLIENT
from api.limits.downloads import DownloadSlots
from api.limits.request_rates import RequestRates
from api.limits.search_time import SearchTime
from api.limits.work_shares import WorkShares
from api.metrics import ApiMetrics
from api.ports import ApiPorts
from api.push.ended_sessions import EndedSessions
from api.push_connections import PushConnections
from edge.authenticator import Authenticator
from edge.connection_limits import ConnectionLimiter
from edge.fair_turns import FairTurns
from edge.login_limiter import LoginLimiter
from edge.trusted_networks import one_peer
from mail.directory.usage_cache import UsageCache

NotReadyReasons = Callable[[], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppContext:
    """One process's edge. `not_ready` is the composition root's to say."""

    config: ApiConfig
    ports: ApiPorts
    not_ready: NotReadyReasons
    metrics: ApiMetrics
    authenticator: Authenticator
    downloads: DownloadSlots
    rates: RequestRates
    anonymous: RequestRates  # by peer
    searches: SearchTime
    sockets: PushConnections
    connections: ConnectionLimiter
    session_ends: EndedSessions
    reads: FairTurns  # by user, as are those of small mails
    quick_reads: FairTurns
    work: WorkShares
    domain_usages: UsageCache

    def count_anonymous(self, request: web.Request) -> None:
        """Count a request without a sign-in to its peer. 429."""
        self.anonymous.take(one_peer(request[CLIENT].address))


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """A request to a handler that anybody may call."""

    edge: AppContext
    request: web.Request


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatedRequest(RequestContext):
    """A request of somebody who is signed in."""

    caller: AuthenticatedUser

    @property
    def user_id(self) -> str:
        return self.caller.user.user_id


RequestHandler = Callable[[RequestContext], Awaitable[web.StreamResponse]]
AuthenticatedHandler = Callable[[AuthenticatedRequest], Coroutine[Any, Any, web.StreamResponse]]
USER_ID = web.RequestKey("user_id", str)  # of who is signed in
EDGE: web.AppKey[AppContext] = web.AppKey("edge", AppContext)


def make_edge(config: ApiConfig, ports: ApiPorts, *, not_ready: NotReadyReasons) -> AppContext:
    metrics = ApiMetrics()
    sockets = PushConnections(config, metrics)
    return AppContext(
        config=config,
        ports=ports,
        not_ready=not_ready,
        metrics=metrics,
        authenticator=Authenticator(
            ports.users,
            ports.sign_ins,
            LoginLimiter(ports.attempts, ports.sign_ins, config.sign_ins),
            at_once=config.logins_at_once,
            waiting_max=config.logins_waiting,
        ),
        downloads=DownloadSlots(config),
        rates=RequestRates(config.requests_per_minute, time.monotonic),
        anonymous=RequestRates(config.anonymous_per_minute, time.monotonic, policy="peer"),
        searches=SearchTime(config, time.monotonic),
        sockets=sockets,
        connections=ConnectionLimiter(
            total_max=config.connections_max, per_peer_max=config.connections_per_peer_max
        ),
        session_ends=EndedSessions(ports.sessions, sockets),
        reads=FairTurns(
            config.reads_at_once, config.reads_waiting, slots_per_key=config.reads_per_user
        ),
        quick_reads=FairTurns(
            config.quick_reads_at_once,
            config.reads_waiting,
            slots_per_key=config.quick_reads_per_user,
        ),
        work=WorkShares(config, time.monotonic),
        domain_usages=UsageCache(ports.store.domain_usage),
    )

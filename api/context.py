"""AppContext: what all handlers share. RequestContext: what a handler gets for one request."""

import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from api.config import ApiConfig
from api.http.authentication import AuthenticatedUser
from api.http.client_address import CLIENT
from api.image_urls import ImageUrls
from api.limits.request_rates import RequestRates
from api.limits.search_time import SearchTime
from api.limits.transfer_slots import TransferSlots, download_slots, upload_slots
from api.limits.work_shares import WorkShares
from api.metrics import ApiMetrics
from api.ports import ApiPorts
from api.push.ended_sessions import EndedSessions
from api.push.status_watch import StatusReports
from api.push_connections import PushConnections
from edge.connection_limits import ConnectionLimiter
from edge.deposits.depositor import DepositConfig, Depositor, DepositPorts
from edge.deposits.room import OwnerRoom
from edge.deposits.uploader import Uploader, UploadPorts
from edge.deposits.virus_check import VirusCheck
from edge.fair_turns import FairTurns
from edge.mailbox_commands import MailboxCommands
from edge.sending_limiter import SendingLimiter
from edge.sign_in.authenticator import (
    Authenticator,
    AuthenticatorConfig,
    SignInPorts,
    make_authenticator,
)
from edge.submissions import Submitter
from edge.token_bucket import TokenBuckets
from edge.trusted_networks import one_peer
from mail.directory.usage_cache import UsageCache
from mail.search.unindexed import UnindexedReader
from mail.sending.own_limits import OwnLimits
from schemas.ids import DomainId, UserId
from schemas.mailbox import MailboxState

NotReadyReasons = Callable[[], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppContext:
    """State of one API process. The composition root supplies `not_ready`."""

    config: ApiConfig
    ports: ApiPorts
    not_ready: NotReadyReasons
    metrics: ApiMetrics
    authenticator: Authenticator
    commands: MailboxCommands
    depositor: Depositor
    uploader: Uploader
    submitter: Submitter
    sending_limiter: SendingLimiter
    room: OwnerRoom
    upload_slots: TransferSlots
    download_slots: TransferSlots
    request_rates: RequestRates
    anonymous_rates: RequestRates  # by client address
    search_time: SearchTime
    unindexed: UnindexedReader
    push_connections: PushConnections
    connections: ConnectionLimiter
    ended_sessions: EndedSessions
    parse_turns: FairTurns  # of the parser's child processes, among users
    quick_parse_turns: FairTurns  # of threads for small mails, among users
    compose_turns: FairTurns  # of mails that are composed, among users
    batch_turns: FairTurns  # of batches whose messages are looked for, among users
    unsubscribe_rates: TokenBuckets
    image_rates: TokenBuckets
    image_turns: FairTurns  # of remote images that are fetched, among users
    act_rates: TokenBuckets  # of operators
    work_shares: WorkShares
    domain_usages: UsageCache
    status_reports: StatusReports | None = None  # None: there is no admin API
    image_urls: ImageUrls = field(default_factory=ImageUrls)

    async def count_anonymous(self, request: web.Request) -> None:
        """Count an unauthenticated request of this client address. Raises Problem 429."""
        await self.anonymous_rates.take(one_peer(request[CLIENT].address))


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """A request to a handler that needs no authentication."""

    context: AppContext
    request: web.Request


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatedRequest(RequestContext):
    """A request of an authenticated user."""

    caller: AuthenticatedUser
    _states: list[MailboxState] = field(default_factory=list, repr=False)

    @property
    def user_id(self) -> UserId:
        return self.caller.user.user_id

    async def first_state(self) -> MailboxState:
        """The state of the caller's mailbox when this request first asked for it.

        What the request reads afterwards is as new or newer. Not for after a change.
        """
        if not self._states:
            self._states.append(await self.context.ports.store.state(self.user_id))
        return self._states[0]


RequestHandler = Callable[[RequestContext], Awaitable[web.StreamResponse]]
AuthenticatedHandler = Callable[[AuthenticatedRequest], Coroutine[Any, Any, web.StreamResponse]]
USER_ID = web.RequestKey("user_id", UserId)  # of the authenticated user
CONTEXT: web.AppKey[AppContext] = web.AppKey("context", AppContext)


def make_context(config: ApiConfig, ports: ApiPorts, *, not_ready: NotReadyReasons) -> AppContext:
    metrics, seconds = ApiMetrics(), time.monotonic
    push_connections = PushConnections(config, metrics)
    commands = _commands(config, ports)
    virus, room = _virus(config, ports), _room(config, ports)
    return AppContext(
        config=config,
        ports=ports,
        not_ready=not_ready,
        metrics=metrics,
        authenticator=_authenticator(config, ports),
        commands=commands,
        depositor=_depositor(config, ports, commands, virus, room),
        uploader=_uploader(config, ports, virus, room),
        submitter=Submitter(commands, ports.contents),
        sending_limiter=_sending_limiter(config, ports),
        room=room,
        upload_slots=upload_slots(config),
        download_slots=download_slots(config),
        request_rates=_rates(ports, "user", config.requests_per_minute),
        anonymous_rates=_rates(ports, "peer", config.anonymous_per_minute),
        search_time=SearchTime(config, seconds),
        unindexed=_unindexed(ports),
        push_connections=push_connections,
        connections=_connections(config),
        ended_sessions=EndedSessions(ports.sessions, push_connections),
        parse_turns=_turns(config.reads_at_once, config.reads_waiting, config.reads_per_user),
        quick_parse_turns=_turns(
            config.quick_reads_at_once, config.reads_waiting, config.quick_reads_per_user
        ),
        compose_turns=_turns(config.composes_at_once, config.composes_waiting, 1),
        batch_turns=_turns(config.batches_at_once, config.batches_waiting, 1),
        act_rates=TokenBuckets(config.acts_per_minute, seconds),
        unsubscribe_rates=TokenBuckets(config.unsubscribes_per_minute, seconds),
        image_rates=TokenBuckets(config.images_per_minute, seconds),
        image_turns=_turns(config.images_at_once, config.images_waiting, config.images_per_user),
        work_shares=WorkShares(config, seconds),
        status_reports=_status_reports(config, ports),
        domain_usages=UsageCache(lambda id_: ports.store.domain_usage(DomainId(id_))),
    )


def _rates(ports: ApiPorts, policy: str, quota: int) -> RequestRates:
    return RequestRates(ports.make_tokens(policy, quota) if quota else None, policy=policy)


def _virus(config: ApiConfig, ports: ApiPorts) -> VirusCheck:
    return VirusCheck(ports.virus, deliver_encrypted=config.deliver_encrypted)


def _room(config: ApiConfig, ports: ApiPorts) -> OwnerRoom:
    return OwnerRoom(ports.store, ports.domains, config.quota, ports.uploads, ports.gate)


def _status_reports(config: ApiConfig, ports: ApiPorts) -> StatusReports | None:
    if not config.admin or ports.admin is None:
        return None
    return StatusReports(ports.admin.stack, every_s=config.socket_watch_s)


def _commands(config: ApiConfig, ports: ApiPorts) -> MailboxCommands:
    return MailboxCommands(ports.publisher, ports.feed, answer_timeout_s=config.answer_timeout_s)


def _sending_limiter(config: ApiConfig, ports: ApiPorts) -> SendingLimiter:
    return SendingLimiter(ports.submissions, OwnLimits(ports.settings, config.sending_limits))


def _depositor(
    config: ApiConfig,
    ports: ApiPorts,
    commands: MailboxCommands,
    virus: VirusCheck,
    room: OwnerRoom,
) -> Depositor:
    return Depositor(
        DepositPorts(
            store=ports.store,
            contents=ports.contents,
            outlines=ports.outlines,
            holders=ports.holders,
            parser=ports.deposit_parser,
        ),
        DepositConfig(worker=config.worker, size_max_bytes=config.message_max_bytes),
        commands=commands,
        virus=virus,
        room=room,
    )


def _uploader(config: ApiConfig, ports: ApiPorts, virus: VirusCheck, room: OwnerRoom) -> Uploader:
    return Uploader(
        UploadPorts(uploads=ports.uploads, contents=ports.contents, holders=ports.holders),
        config.uploads,
        virus=virus,
        room=room,
    )


def _connections(config: ApiConfig) -> ConnectionLimiter:
    return ConnectionLimiter(
        total_max=config.connections_max, per_peer_max=config.connections_per_peer_max
    )


def _turns(at_once: int, waiting_max: int, per_user: int) -> FairTurns:
    return FairTurns(at_once, waiting_max, slots_per_key=per_user)


def _unindexed(ports: ApiPorts) -> UnindexedReader:
    return UnindexedReader(
        index=ports.search, store=ports.store, contents=ports.contents, parser=ports.parser
    )


def _authenticator(config: ApiConfig, ports: ApiPorts) -> Authenticator:
    return make_authenticator(
        SignInPorts(users=ports.users, app_passwords=ports.app_passwords, sign_ins=ports.sign_ins),
        ports.attempts,
        AuthenticatorConfig(
            limits=config.sign_ins,
            checks_at_once=config.logins_at_once,
            checks_waiting=config.logins_waiting,
            cache_s=config.password_cache_s,
            cache_max=config.password_cache_max,
        ),
    )

"""/v1/admin/domains: domains that mail is accepted for, their limits, keys and DNS records."""

import asyncio
from typing import Annotated, Any

import msgspec
from aiohttp import hdrs, web

from api.admin.acts import acting, admin_ports
from api.admin.paging import position_of_cursor
from api.admin.quarantine import BODY_PROBLEMS
from api.admin.route import PREFIX, OperatorRoute
from api.admin.sending_limits import LimitsPatch
from api.context import AuthenticatedRequest
from api.problems import Problem, bad_request
from api.rest.parameters import flag_of, limit_of, query, read_body
from api.rest.responses import Timestamp, json_response
from mail.clock import rfc3339
from mail.errors import Refused
from mail.pagination import encode_cursor
from mail.sending.dkim.keyring import IN_USE, NEXT, KeyState
from mail.sending.dkim.keys import Algorithm
from mail.sending.own_limits import OwnLimits
from operations import accounts, domain_records, sending_limits
from operations.domain_records import DnsRecord, TextLookup
from schemas.directory import Domain, OwnSendingLimits

NAME_MAX_CHARS = 253  # RFC 1035
SCOPE = "admin.domains"


class DomainRow(msgspec.Struct, frozen=True, kw_only=True):
    """`catch_all` null: mail for unknown addresses is refused."""

    name: str
    catch_all: str | None
    created_at: Timestamp


class DomainList(msgspec.Struct, frozen=True, kw_only=True):
    """By name."""

    domains: list[DomainRow]
    next_cursor: str | None


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key of DKIM (RFC 6376); one in state `next` does not sign yet."""

    selector: str
    algorithm: Algorithm
    state: KeyState


class DomainDetail(DomainRow, frozen=True, kw_only=True):
    """`limits`: of sending, as set for each user of this domain; null: those of the settings."""

    limits: OwnSendingLimits
    keys: list[KeyRow]


class DomainPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`limits` with `reset`: those of the settings hold."""

    limits: LimitsPatch


class NewDomain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MAX_CHARS)]


class RecordRow(msgspec.Struct, frozen=True, kw_only=True):
    """`fault`, only with `check`: what is wrong with the published record; null: nothing."""

    name: str
    kind: str
    value: str
    zone_line: str
    purpose: str
    fault: str | msgspec.UnsetType | None = msgspec.UNSET


class RecordList(msgspec.Struct, frozen=True, kw_only=True):
    records: list[RecordRow]


async def list_domains(call: AuthenticatedRequest) -> web.StreamResponse:
    values = query(call.request, "limit", "cursor")
    limit = limit_of(values, call.context.config)
    after = position_of_cursor(values, call.context.config, SCOPE)
    page = await admin_ports(call).directory.list_domains(cursor=after and after[1], limit=limit)
    following = page.cursor and encode_cursor((0, page.cursor), SCOPE)
    rows = [_row(domain) for domain in page.rows]
    return json_response(DomainList(domains=rows, next_cursor=following))


async def add_domain(call: AuthenticatedRequest) -> web.StreamResponse:
    """Accept mail for a domain; its postmaster@ and its keys are made too."""
    query(call.request)
    body, ports = await read_body(call.request, NewDomain), admin_ports(call)
    async with acting(call, "domain.add", body.name):
        added = await domain_records.add_signed_domain(ports.directory, ports.keyrings, body.name)
    headers = {str(hdrs.LOCATION): f"{PREFIX}/domains/{added.name}/records"}
    return json_response(_row(added), status=201, headers=headers)


async def get_domain(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    return json_response(await _detail(call, await _domain(call)))


async def patch_domain(call: AuthenticatedRequest) -> web.StreamResponse:
    """Change how much each user of the domain may send."""
    query(call.request)
    body, domain = await read_body(call.request, DomainPatch), await _domain(call)
    if body.limits == LimitsPatch():
        raise Problem(400, "nothing_to_change", "Name at least one limit.")
    async with acting(call, "domain.change", domain.name, msgspec.json.encode(body).decode()):
        await sending_limits.domain_limits(
            admin_ports(call).directory,
            domain.name,
            change=body.limits.change,
            configured=call.context.config.sending_limits,
        )
    return json_response(await _detail(call, domain))


async def rotate_keys(call: AuthenticatedRequest) -> web.StreamResponse:
    """Make new keys, whose records are to be published before they sign."""
    query(call.request)
    domain = await _domain(call)
    async with acting(call, "domain.dkim.rotate", domain.name):
        await domain_records.rotate_keys(admin_ports(call).keyrings, domain)
    return json_response(await _detail(call, domain))


async def activate_keys(call: AuthenticatedRequest) -> web.StreamResponse:
    """Sign with the new keys. Raises Problem 409: there are none."""
    query(call.request)
    domain = await _domain(call)
    try:
        async with acting(call, "domain.dkim.activate", domain.name):
            await domain_records.activate_keys(admin_ports(call).keyrings, domain)
    except Refused as error:
        raise Problem(409, "refused", error.detail) from error
    return json_response(await _detail(call, domain))


async def list_records(call: AuthenticatedRequest) -> web.StreamResponse:
    """The DNS records of a domain; with `check=true` compared with what DNS has."""
    is_check = bool(flag_of(query(call.request, "check"), "check"))
    domain, ports = await _domain(call), admin_ports(call)
    records = await domain_records.records_of(ports.keyrings, domain, ports.hostname)
    faults = await _faults(records, ports.records) if is_check else None
    rows = [
        RecordRow(
            name=record.name,
            kind=record.kind,
            value=record.value,
            zone_line=record.zone_line,
            purpose=record.purpose,
            fault=msgspec.UNSET if faults is None else faults[number],
        )
        for number, record in enumerate(records)
    ]
    return json_response(RecordList(records=rows))


async def _faults(records: list[DnsRecord], lookup: TextLookup) -> list[str | None]:
    """Raises Problem 409: the DNS server does not answer."""
    try:
        return list(
            await asyncio.gather(*(domain_records.fault_of(record, lookup) for record in records))
        )
    except Refused as error:
        raise Problem(409, "refused", error.detail) from error


async def _domain(call: AuthenticatedRequest) -> Domain:
    """The domain in the path. Raises Problem 400; NotFound."""
    name = call.request.match_info["name"]
    if len(name) > NAME_MAX_CHARS:
        raise bad_request("bad_name", f"Up to {NAME_MAX_CHARS}.", "path:name")
    return await accounts.get_domain(admin_ports(call).directory, name)


async def _detail(call: AuthenticatedRequest, domain: Domain) -> DomainDetail:
    ports, configured = admin_ports(call), call.context.config.sending_limits
    states: tuple[KeyState, ...] = (IN_USE, NEXT)
    keys = [
        KeyRow(selector=key.selector, algorithm=key.algorithm, state=state)
        for state in states
        for key in await ports.keyrings.keys(domain, state)
    ]
    limits = await OwnLimits(ports.directory, configured).of_domain(domain.domain_id)
    return DomainDetail(**_fields(domain), limits=limits, keys=keys)


def _row(domain: Domain) -> DomainRow:
    return DomainRow(**_fields(domain))


def _fields(domain: Domain) -> dict[str, Any]:
    return {
        "name": domain.name,
        "catch_all": domain.catch_all or None,
        "created_at": rfc3339(domain.created_at_ms),
    }


ROUTES = (
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/domains",
        name="admin_domains",
        summary="List domains by name.",
        handler=list_domains,
        query=("limit", "cursor"),
        response=DomainList,
    ),
    OperatorRoute(
        method="POST",
        path=f"{PREFIX}/domains",
        name="admin_add_domain",
        summary="Accept mail for a domain.",
        handler=add_domain,
        body=NewDomain,
        status=201,
        response=DomainRow,
        problems=(409, *BODY_PROBLEMS),
    ),
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/domains/{{name}}",
        name="admin_domain",
        summary="Get a domain with limits of sending of its users, and its keys.",
        handler=get_domain,
        response=DomainDetail,
        problems=(404,),
    ),
    OperatorRoute(
        method="PATCH",
        path=f"{PREFIX}/domains/{{name}}",
        name="admin_patch_domain",
        summary="Change how much each user of a domain may send.",
        handler=patch_domain,
        body=DomainPatch,
        response=DomainDetail,
        problems=(404, *BODY_PROBLEMS),
    ),
    OperatorRoute(
        method="POST",
        path=f"{PREFIX}/domains/{{name}}/dkim/rotate",
        name="admin_rotate_keys",
        summary="Make new keys of a domain, which do not sign yet.",
        handler=rotate_keys,
        response=DomainDetail,
        problems=(404,),
    ),
    OperatorRoute(
        method="POST",
        path=f"{PREFIX}/domains/{{name}}/dkim/activate",
        name="admin_activate_keys",
        summary="Sign with the new keys of a domain, once their records are published.",
        handler=activate_keys,
        response=DomainDetail,
        problems=(404, 409),
    ),
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/domains/{{name}}/records",
        name="admin_domain_records",
        summary="List the DNS records of a domain, and what is wrong with them.",
        handler=list_records,
        query=("check",),
        response=RecordList,
        problems=(404, 409),
    ),
)

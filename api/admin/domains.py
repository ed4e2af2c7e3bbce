"""/v1/admin/domains: domains that mail is accepted for, and their DNS records."""

import asyncio
from typing import Annotated

import msgspec
from aiohttp import hdrs, web

from api.admin.acts import acting, admin_ports
from api.admin.paging import position_of_cursor
from api.admin.quarantine import BODY_PROBLEMS
from api.admin.route import PREFIX, OperatorRoute
from api.context import AuthenticatedRequest
from api.problems import Problem, bad_request
from api.rest.parameters import flag_of, limit_of, query, read_body
from api.rest.responses import Timestamp, json_response
from mail.clock import rfc3339
from mail.errors import Refused
from mail.pagination import encode_cursor
from operations import accounts, domain_records
from operations.domain_records import DnsRecord, TextLookup
from schemas.directory import Domain

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


async def list_records(call: AuthenticatedRequest) -> web.StreamResponse:
    """The DNS records of a domain; with `check=true` compared with what DNS has."""
    is_check = bool(flag_of(query(call.request, "check"), "check"))
    name, ports = call.request.match_info["name"], admin_ports(call)
    if len(name) > NAME_MAX_CHARS:
        raise bad_request("bad_name", f"Up to {NAME_MAX_CHARS}.", "path:name")
    domain = await accounts.get_domain(ports.directory, name)
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


def _row(domain: Domain) -> DomainRow:
    return DomainRow(
        name=domain.name,
        catch_all=domain.catch_all or None,
        created_at=rfc3339(domain.created_at_ms),
    )


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
        path=f"{PREFIX}/domains/{{name}}/records",
        name="admin_domain_records",
        summary="List the DNS records of a domain, and what is wrong with them.",
        handler=list_records,
        query=("check",),
        response=RecordList,
        problems=(404, 409),
    ),
)

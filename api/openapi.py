"""/v1/openapi.json, generated from the routes and their structs."""

import re
from http import HTTPStatus
from typing import Any, get_args

import msgspec
from aiohttp.hdrs import IF_MATCH, IF_NONE_MATCH

from api.admin.query_schemas import ADMIN_QUERY
from api.config import ApiConfig
from api.problems import MEDIA_TYPE, ProblemDetails
from api.push.frames import GoneMessage
from api.rest.parameters import ADDRESS_MAX_CHARS, SEQ_MAX, STATE
from api.rest.responses import MessageSummary
from api.rest.settings.addresses import PATH as ADDRESSES_PATH
from api.rest.settings.addresses import PREFIX_MAX_CHARS
from api.route import JSON, Route
from api.routes import routes_of
from mail.mailbox.keywords import KEYWORD_MAX_CHARS
from mail.pagination import POSITION_MAX
from mail.query.tree import QUERY_MAX_CHARS
from mail.query.values import ZONE_MAX_CHARS
from schemas.submissions import SubmissionStatus

PATH = "/v1/openapi.json"
QUERY_HELP = (
    "Words, all of which must match; `OR` between alternatives, `-` before an exclusion, "
    'parentheses, "a phrase", a prefix*; from: to: cc: subject: body: filename: in: '
    "is:unread|read|flagged has:attachment before: after: older_than:7d newer_than: larger:5M "
    "smaller:"
)
_ADDRESS_QUERY = {  # of /v1/addresses
    "type": "string",
    "minLength": 1,
    "maxLength": PREFIX_MAX_CHARS,
    "description": "The beginning of a name, of a part of a name, of an address or of a domain.",
}
_TIME = "A day such as 2026-11-24, or an RFC 3339 timestamp."
OCTETS = "application/octet-stream"  # an example of a media type
_REF = "#/components/schemas/{name}"


def document(config: ApiConfig) -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {PATH: {"get": _own_operation()}}
    for route in routes_of(config):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, config)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Postriver", "version": "1", "description": "Mail over HTTP."},
        "paths": paths,
        "components": {"schemas": _schemas(config), "securitySchemes": _security(config)},
    }


def _operation(route: Route, config: ApiConfig) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": _parameters(route, config),
        "responses": _responses(route),
        "security": [{scheme: []} for scheme in route.security],
    }
    if route.body:
        operation["requestBody"] = {"required": True, "content": _json(route.body)}
    if route.octets:
        file = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": True, "content": {OCTETS: file}}
    return operation


def _own_operation() -> dict[str, Any]:
    return {
        "operationId": "openapi",
        "summary": "This document.",
        "parameters": [],
        "responses": {"200": {"description": "OK", "content": {"application/json": {}}}},
        "security": [],
    }


def _parameters(route: Route, config: ApiConfig) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(name)}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    schemas = _query_schemas(config)
    if route.path == ADDRESSES_PATH:
        schemas["q"] = _ADDRESS_QUERY
    in_query = [
        {"name": name, "in": "query", "required": name == "q", "schema": schemas[name]}
        for name in route.query
    ]
    in_header = [
        {"name": str(name), "in": "header", "required": False, "schema": {"type": "string"}}
        for name in (*route.headers, *route.conditions)
    ]
    return in_path + in_query + in_header


def _path_schema(name: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0} if name == "n" else {"type": "string"}


def _query_schemas(config: ApiConfig) -> dict[str, dict[str, Any]]:
    return (
        _page_schemas(config)
        | ADMIN_QUERY
        | {
            **{
                name: {"type": "boolean"}
                for name in ("unread", "flagged", "has_attachments", "inline", "images", "threads")
            },
            "keyword": {"type": "string", "minLength": 1, "maxLength": KEYWORD_MAX_CHARS},
            "from": {"type": "string", "minLength": 1, "maxLength": ADDRESS_MAX_CHARS},
            "after": {"type": "string", "description": f"{_TIME} Received at that time or later."},
            "before": {"type": "string", "description": f"{_TIME} Received before that time."},
            "after_uid": {"type": "integer", "minimum": 0, "maximum": SEQ_MAX, "default": 0},
            "since": {
                "type": "string",
                "pattern": f"^{STATE}$",
                "description": "The last `state` processed; 0: from the beginning.",
            },
            "bodies": {"type": "string", "enum": ["open"]},
            "q": {
                "type": "string",
                "minLength": 1,
                "maxLength": QUERY_MAX_CHARS,
                "description": QUERY_HELP,
            },
            "order": {"type": "string", "enum": ["date", "relevance"], "default": "date"},
            "status": {"type": "string", "enum": list(get_args(SubmissionStatus))},
            "tz": {
                "type": "string",
                "maxLength": ZONE_MAX_CHARS,
                "default": "UTC",
                "description": "The time zone of days (IANA).",
            },
        }
    )


def _page_schemas(config: ApiConfig) -> dict[str, dict[str, Any]]:
    return {
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": config.page_max,
            "default": config.page_default,
        },
        "cursor": {"type": "string", "maxLength": config.cursor_max_chars},
        "position": {
            "type": "integer",
            "minimum": 0,
            "maximum": POSITION_MAX,
            "description": "Of the first row, 0 is the newest; instead of `cursor`.",
        },
    }


def _responses(route: Route) -> dict[str, Any]:
    responses = {str(route.status): _success(route)}
    for status, body in route.also:
        content = {"content": _json(body)} if body else {}
        responses[str(status)] = {"description": _phrase(status), **content}
    if IF_NONE_MATCH in route.conditions:
        responses["304"] = {"description": _phrase(304)}
    conditional = (412,) if IF_MATCH in route.conditions else ()
    for status in sorted({*route.problems, *route.common_problems, *conditional}):
        responses.setdefault(str(status), _problem(status))
    return responses


def _success(route: Route) -> dict[str, Any]:
    described: dict[str, Any] = {"description": _phrase(route.status)}
    if route.frames:
        frames = [{"$ref": _REF.format(name=kind.__name__)} for kind in route.frames]
        described["content"] = {JSON: {"schema": {"oneOf": frames}}}
    elif route.response:
        described["content"] = _json(route.response)
    elif route.status != HTTPStatus.NO_CONTENT:
        described["content"] = {
            route.media_type: {"schema": {"type": "string", "format": "binary"}}
        }
    return described


def _problem(status: int) -> dict[str, Any]:
    reference = {"$ref": _REF.format(name=ProblemDetails.__name__)}
    return {"description": _phrase(status), "content": {MEDIA_TYPE: {"schema": reference}}}


def _json(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {JSON: {"schema": {"$ref": _REF.format(name=kind.__name__)}}}


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _schemas(config: ApiConfig) -> dict[str, Any]:
    kinds: set[type[msgspec.Struct]] = {ProblemDetails, MessageSummary, GoneMessage}
    for route in routes_of(config):
        kinds |= {kind for kind in (route.body, route.response, *route.frames) if kind}
        kinds |= {kind for _, kind in route.also if kind}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REF)
    return schemas


def _security(config: ApiConfig) -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer"},
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": config.cookie(https=config.secure_cookies),
        },
    }

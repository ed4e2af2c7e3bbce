"""/v1/me/app-passwords: the caller's application passwords, for mail programs."""

from contextlib import suppress
from typing import Annotated

import msgspec
from aiohttp import web

from api.context import AuthenticatedRequest
from api.http.client_address import login_client
from api.problems import Problem, bad_request, wrong_password
from api.rest.parameters import ShortText, id_of, query, read_body
from api.rest.responses import Timestamp, json_response, optional_timestamp
from api.route import AuthenticatedRoute
from edge.sign_in.authenticator import SignedIn, WrongCredentials
from mail.clock import rfc3339
from mail.directory.app_passwords import checked_name, new_app_password
from mail.errors import NotFound, Refused
from mail.ports import TooManyAppPasswords
from schemas.directory import AppPassword, AppPasswordScope

PATH = "/v1/me/app-passwords"
Scopes = Annotated[list[AppPasswordScope], msgspec.Meta(min_length=1, max_length=2)]


class AppPasswordInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An application password without its secret; the last use is accurate to one hour."""

    id: str
    name: str
    scopes: list[AppPasswordScope]
    created_at: Timestamp
    last_used_at: Timestamp | None  # null: never used
    last_used_protocol: str | None
    last_used_network: str | None  # an IPv4 address, or an IPv6 /48


class AppPasswordList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first."""

    app_passwords: list[AppPasswordInfo]


class NewAppPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`password` is the account's password."""

    name: ShortText
    scopes: Scopes
    password: ShortText


class CreatedAppPassword(msgspec.Struct, frozen=True, kw_only=True):
    """`password` is shown in this response only."""

    id: str
    name: str
    scopes: list[AppPasswordScope]
    created_at: Timestamp
    password: str


async def list_app_passwords(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    rows = await call.context.ports.app_passwords.app_passwords(call.user_id)
    return json_response(AppPasswordList(app_passwords=[_info(row) for row in rows]))


async def create_app_password(call: AuthenticatedRequest) -> web.StreamResponse:
    """Create an application password, given the account's password.

    Raises Problem 400: the name is invalid. 403: the password is wrong. 409: the limit is reached.
    """
    query(call.request)
    body = await read_body(call.request, NewAppPassword)
    try:
        name = checked_name(body.name)
    except Refused as error:
        raise bad_request("bad_name", error.detail, "$.name") from error
    await _confirm(call, body.password)
    row, secret = new_app_password(call.user_id, name, body.scopes)
    await _add(call, row)
    return json_response(
        CreatedAppPassword(
            id=row.app_password_id,
            name=row.name,
            scopes=list(row.scopes),
            created_at=rfc3339(row.created_at_ms),
            password=secret,
        ),
        status=201,
    )


async def revoke_app_password(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    await call.context.ports.app_passwords.revoke_app_password(call.user_id, id_of(call.request))
    return web.Response(status=204)


async def _confirm(call: AuthenticatedRequest, password: str) -> None:
    """Check the account's password; attempts are limited by session. Raises Problem 403."""
    try:
        await call.context.authenticator.confirm(
            call.caller.user,
            password,
            login_client(call.request),
            session_sha256=call.caller.session.token_sha256,
        )
    except WrongCredentials:
        raise wrong_password() from None


async def _add(call: AuthenticatedRequest, row: AppPassword) -> None:
    """Store the row; revoke it if the account's password has changed since the check.

    A change of password may revoke the rows that are stored, so the check follows the storing.
    Raises Problem 403: the password has changed. 409: the limit is reached.
    """
    app_passwords = call.context.ports.app_passwords
    try:
        await app_passwords.add_app_password(row)
    except TooManyAppPasswords as error:
        raise Problem(409, "refused", f"{error.detail}: revoke one first.") from error
    if not await call.context.authenticator.is_current(SignedIn(user=call.caller.user)):
        with suppress(NotFound):
            await app_passwords.revoke_app_password(row.user_id, row.app_password_id)
        raise wrong_password()


def _info(row: AppPassword) -> AppPasswordInfo:
    return AppPasswordInfo(
        id=row.app_password_id,
        name=row.name,
        scopes=list(row.scopes),
        created_at=rfc3339(row.created_at_ms),
        last_used_at=optional_timestamp(row.used_at_ms),
        last_used_protocol=row.used_protocol or None,
        last_used_network=row.used_network or None,
    )


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path=PATH,
        name="app_passwords",
        summary="List the caller's application passwords.",
        handler=list_app_passwords,
        response=AppPasswordList,
    ),
    AuthenticatedRoute(
        method="POST",
        path=PATH,
        name="create_app_password",
        summary="Create an application password, given the account's password. It is shown once.",
        handler=create_app_password,
        body=NewAppPassword,
        status=201,
        response=CreatedAppPassword,
        problems=(403, 408, 409, 413, 415),
    ),
    AuthenticatedRoute(
        method="DELETE",
        path=f"{PATH}/{{id}}",
        name="revoke_app_password",
        summary="Revoke an application password: new sign-ins with it are refused at once.",
        handler=revoke_app_password,
        status=204,
        problems=(403, 404),
    ),
)

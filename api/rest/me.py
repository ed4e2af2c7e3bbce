"""/v1/me: the caller's name, addresses, quota and usage; change of the password."""

import msgspec
from aiohttp import web

from api.context import AuthenticatedRequest
from api.http.client_address import login_client
from api.problems import bad_request, wrong_password
from api.rest.parameters import ShortText, query, read_body
from api.rest.responses import Timestamp, json_response
from api.rest.settings.identities import default_of, identities_of
from api.route import AuthenticatedRoute
from edge.sign_in.authenticator import WrongCredentials
from mail.clock import rfc3339
from mail.directory.own_addresses import own_addresses
from mail.directory.password_rules import fault_in
from mail.directory.quotas import effective_quota, is_limited
from schemas.directory import QUOTA_UNSET, Quota
from schemas.mailbox import Usage
from schemas.user_settings import UserSettings


class UsedStorage(msgspec.Struct, frozen=True, kw_only=True):
    """`limit` null: unlimited."""

    used: int
    limit: int | None


class QuotaInfo(msgspec.Struct, frozen=True, kw_only=True):
    bytes: UsedStorage
    mails: UsedStorage


class OwnQuota(QuotaInfo, frozen=True, kw_only=True):
    """The user's quota, and the quota that all users of the domain share; null: it has none."""

    domain: QuotaInfo | None


class OwnAccount(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is that of the default identity; `addresses` begins with `address`.

    `roles`: `operator` if the admin API admits the user.
    """

    id: str
    name: str
    address: str
    addresses: list[str]
    roles: list[str]
    expires_at: Timestamp
    quota: OwnQuota


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`revoke_app_passwords`: mail programs have to get new application passwords too."""

    old_password: ShortText
    password: ShortText
    revoke_app_passwords: bool = False


async def change_password(call: AuthenticatedRequest) -> web.StreamResponse:
    """Set a new password; all other sessions end, with their sockets.

    Raises Problem 403: the old password is wrong. 400: the new password is weak.
    """
    query(call.request)
    body = await read_body(call.request, NewPassword)
    context, user, own = call.context, call.caller.user, call.caller.session.token_sha256
    if fault := fault_in(body.password, address=user.address):
        raise bad_request("weak_password", fault, "$.password")
    client = login_client(call.request)
    try:
        await context.authenticator.confirm(user, body.old_password, client, session_sha256=own)
    except WrongCredentials:
        raise wrong_password() from None
    password_hash = await context.authenticator.hash(body.password, client)
    await context.ports.users.set_password(
        user.user_id,
        password_hash,
        keep_session=own,
        revoke_app_passwords=body.revoke_app_passwords,
    )
    await context.ended_sessions.close_sockets()
    return web.Response(status=204)


async def get_account(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    stored = await call.context.ports.store.settings(call.user_id)
    return json_response(await own_account(call, stored.settings))


async def own_account(call: AuthenticatedRequest, settings: UserSettings) -> OwnAccount:
    user = call.caller.user
    return OwnAccount(
        id=call.user_id,
        name=default_of(identities_of(settings, user)).name,
        address=user.address,
        addresses=list(await own_addresses(call.context.ports.addresses, user)),
        roles=["operator"] if call.context.config.admin and user.role == "operator" else [],
        expires_at=rfc3339(call.caller.session.expires_at_ms),
        quota=await _own_quota(call),
    )


async def _own_quota(call: AuthenticatedRequest) -> OwnQuota:
    context, user = call.context, call.caller.user
    usage = await context.room.usage(user.user_id)
    own = _quota_info(usage, effective_quota(user.quota, context.config.quota))
    return OwnQuota(bytes=own.bytes, mails=own.mails, domain=await _domain_quota(call))


async def _domain_quota(call: AuthenticatedRequest) -> QuotaInfo | None:
    """None if the domain has no quota. The usage is a cached sum, up to some seconds old."""
    domain = await call.context.ports.domains.domain_by_id(call.caller.user.domain_id)
    quota = effective_quota(domain.quota if domain else QUOTA_UNSET, QUOTA_UNSET)
    if domain is None or not is_limited(quota):
        return None
    return _quota_info(await call.context.domain_usages.of(domain.domain_id), quota)


def _quota_info(usage: Usage, quota: Quota) -> QuotaInfo:
    return QuotaInfo(
        bytes=UsedStorage(used=usage.size_bytes, limit=quota.size_bytes),
        mails=UsedStorage(used=usage.messages, limit=quota.messages),
    )


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/me",
        name="me",
        summary="Get the caller's name, addresses, quota and usage.",
        handler=get_account,
        response=OwnAccount,
    ),
    AuthenticatedRoute(
        method="PATCH",
        path="/v1/me",
        name="change_password",
        summary="Set a new password, given the old password. All other sessions end.",
        handler=change_password,
        body=NewPassword,
        status=204,
        problems=(403, 408, 413, 415),
    ),
)

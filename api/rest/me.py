"""/v1/me: who is signed in, how much room there is for new mail, and a new password."""

import msgspec
from aiohttp import web

from api.context import AuthenticatedRequest
from api.http.client_address import login_client
from api.problems import bad_request, wrong_password
from api.rest.parameters import ShortText, query, read_body
from api.rest.responses import Timestamp, json_answer
from edge.authenticator import WrongCredentials
from mail.clock import rfc3339
from mail.directory.password_rules import fault_in
from mail.directory.quotas import in_force, is_limited
from schemas.directory import NOTHING_SAID, Quota
from schemas.mailbox import Usage


class UsedStorage(msgspec.Struct, frozen=True, kw_only=True):
    """`limit` is null where there is none."""

    used: int
    limit: int | None


class QuotaInfo(msgspec.Struct, frozen=True, kw_only=True):
    bytes: UsedStorage
    mails: UsedStorage


class OwnQuota(QuotaInfo, frozen=True, kw_only=True):
    """Room for new mail; `domain` is what all its users share, null when it has no quota."""

    domain: QuotaInfo | None


class OwnAccount(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    address: str
    expires_at: Timestamp
    quota: OwnQuota


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    old_password: ShortText
    password: ShortText


async def change_password(call: AuthenticatedRequest) -> web.StreamResponse:
    """Set a new password; all other sessions end, with their sockets.

    Raises 403: the old password is wrong. 400: the new password is weak.
    """
    query(call.request)
    asked = await read_body(call.request, NewPassword)
    edge, user, own = call.edge, call.caller.user, call.caller.session.token_sha256
    if fault := fault_in(asked.password, address=user.address):
        raise bad_request("weak_password", fault, "$.password")
    client = login_client(call.request)
    try:
        await edge.authenticator.confirm(user, asked.old_password, client, session_sha256=own)
    except WrongCredentials:
        raise wrong_password() from None
    password_hash = await edge.authenticator.hash(asked.password, client)
    await edge.ports.users.set_password(user.user_id, password_hash, keep_session=own)
    await edge.session_ends.look()
    return web.Response(status=204)


async def me(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    return json_answer(
        OwnAccount(
            id=call.user_id,
            address=call.caller.user.address,
            expires_at=rfc3339(call.caller.session.expires_at_ms),
            quota=await _quota(call),
        )
    )


async def _quota(call: AuthenticatedRequest) -> OwnQuota:
    edge, user = call.edge, call.caller.user
    used = await edge.ports.store.usage(user.user_id)
    own = _info(used, in_force(user.quota, edge.config.quota))
    return OwnQuota(bytes=own.bytes, mails=own.mails, domain=await _of_domain(call))


async def _of_domain(call: AuthenticatedRequest) -> QuotaInfo | None:
    """Its usage is a sum over all its users, so it may be some seconds old."""
    domain = await call.edge.ports.domains.domain_by_id(call.caller.user.domain_id)
    quota = in_force(domain.quota if domain else NOTHING_SAID, NOTHING_SAID)
    if domain is None or not is_limited(quota):
        return None
    return _info(await call.edge.domain_usages.of(domain.domain_id), quota)


def _info(used: Usage, quota: Quota) -> QuotaInfo:
    return QuotaInfo(
        bytes=UsedStorage(used=used.size_bytes, limit=quota.size_bytes),
        mails=UsedStorage(used=used.messages, limit=quota.messages),
    )

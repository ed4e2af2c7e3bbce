"""GET /v1/me: who is signed in, and how much room there is for new mail."""

import msgspec
from aiohttp import web

from api.answers import Timestamp, json_answer
from api.edge import SignedCall
from api.inputs import query
from mail.quotas import in_force, is_limited
from mail.times import rfc3339
from schemas.mailbox import Usage
from schemas.records import NOTHING_SAID, Quota


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """`limit` is null where there is none."""

    used: int
    limit: int | None


class QuotaInfo(msgspec.Struct, frozen=True, kw_only=True):
    bytes: Used
    mails: Used


class OwnQuota(QuotaInfo, frozen=True, kw_only=True):
    """Room for new mail; `domain` is what all its users share, null when it has no quota."""

    domain: QuotaInfo | None


class Me(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    address: str
    expires_at: Timestamp
    quota: OwnQuota


async def me(call: SignedCall) -> web.StreamResponse:
    query(call.request)
    return json_answer(
        Me(
            id=call.user_id,
            address=call.caller.user.address,
            expires_at=rfc3339(call.caller.session.expires_at_ms),
            quota=await _quota(call),
        )
    )


async def _quota(call: SignedCall) -> OwnQuota:
    edge, user = call.edge, call.caller.user
    used = await edge.ports.store.usage(user.user_id)
    own = _info(used, in_force(user.quota, edge.config.quota))
    return OwnQuota(bytes=own.bytes, mails=own.mails, domain=await _of_domain(call))


async def _of_domain(call: SignedCall) -> QuotaInfo | None:
    """Its usage is a sum over all its users, so it may be some seconds old."""
    domain = await call.edge.ports.directory.domain_of(call.caller.user.domain_id)
    quota = in_force(domain.quota if domain else NOTHING_SAID, NOTHING_SAID)
    if domain is None or not is_limited(quota):
        return None
    return _info(await call.edge.domain_usages.of(domain.domain_id), quota)


def _info(used: Usage, quota: Quota) -> QuotaInfo:
    return QuotaInfo(
        bytes=Used(used=used.size_bytes, limit=quota.size_bytes),
        mails=Used(used=used.messages, limit=quota.messages),
    )

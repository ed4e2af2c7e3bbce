"""/v1/admin/users: create users, set passwords, roles, quotas and limits of sending."""

from typing import Annotated, Any

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET, UnsetType

from api.admin.acts import acting, admin_ports
from api.admin.paging import position_of_cursor
from api.admin.quarantine import BODY_PROBLEMS
from api.admin.route import PREFIX, OperatorRoute
from api.admin.sending_limits import LimitsPatch
from api.context import AuthenticatedRequest
from api.problems import Problem, not_found
from api.rest.parameters import (
    ADDRESS_MAX_CHARS,
    ShortText,
    limit_of,
    query,
    read_body,
)
from api.rest.responses import Timestamp, json_response
from mail.clock import rfc3339
from mail.directory.quotas import MESSAGES_MAX, SIZE_MAX_BYTES
from mail.pagination import encode_cursor
from mail.sending.own_limits import OwnLimits
from operations import accounts, quotas, sending_limits
from operations.quotas import QuotaChange
from schemas.directory import QUOTA_UNSET, OwnSendingLimits, User, UserRole
from schemas.ids import UserId

SCOPE = "admin.users"
QuotaBytes = Annotated[int, msgspec.Meta(ge=0, le=SIZE_MAX_BYTES)]
QuotaMails = Annotated[int, msgspec.Meta(ge=0, le=MESSAGES_MAX)]


class UserRow(msgspec.Struct, frozen=True, kw_only=True):
    """`has_password` false: the user cannot sign in."""

    id: str
    address: str
    role: UserRole
    disabled: bool
    has_password: bool
    created_at: Timestamp


class UserList(msgspec.Struct, frozen=True, kw_only=True):
    """In an order of the store's own."""

    users: list[UserRow]
    next_cursor: str | None


class UserQuota(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored and what may be; limit null: any size or number."""

    used_bytes: int
    used_mails: int
    limit_bytes: int | None
    limit_mails: int | None


class UserDetail(UserRow, frozen=True, kw_only=True):
    """`limits`: of sending, as set for this user alone; null: those of the domain hold."""

    quota: UserQuota
    limits: OwnSendingLimits


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without `password` a random password is made."""

    address: Annotated[str, msgspec.Meta(min_length=3, max_length=ADDRESS_MAX_CHARS)]
    password: ShortText | None = None


class GivenPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without `password` a random password is made."""

    password: ShortText | None = None
    revoke_app_passwords: bool = False


class UserPassword(msgspec.Struct, frozen=True, kw_only=True):
    """`password` is set if it was made here; it is not shown again."""

    id: str
    address: str
    password: str | None


class QuotaPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """0: no limit. `reset`: the quota of the settings, with these changes."""

    bytes: QuotaBytes | None = None
    mails: QuotaMails | None = None
    reset: bool = False


class UserPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays as it is. `limits` with `reset`: those of the domain hold."""

    role: UserRole | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    quota: QuotaPatch | UnsetType = UNSET
    limits: LimitsPatch | UnsetType = UNSET


async def list_users(call: AuthenticatedRequest) -> web.StreamResponse:
    values = query(call.request, "limit", "cursor")
    limit = limit_of(values, call.context.config)
    after = position_of_cursor(values, call.context.config, SCOPE)
    page = await admin_ports(call).directory.list_users(cursor=after and after[1], limit=limit)
    following = page.cursor and encode_cursor((0, page.cursor), SCOPE)
    users = [UserRow(**_row(user)) for user in page.rows]
    return json_response(UserList(users=users, next_cursor=following))


async def get_user(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    return json_response(await _detail(call, await _user(call)))


async def add_user(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    body, directory = await read_body(call.request, NewUser), admin_ports(call).directory
    async with acting(call, "user.add", body.address):
        created = await accounts.add_user(directory, body.address, body.password)
    user = await accounts.get_user(directory, created.address)
    given = UserPassword(id=user.user_id, address=user.address, password=created.password)
    headers = {str(hdrs.LOCATION): f"{PREFIX}/users/{user.user_id}"}
    return json_response(given, status=201, headers=headers)


async def set_password(call: AuthenticatedRequest) -> web.StreamResponse:
    """Set a new password; all sessions of the user end."""
    query(call.request)
    body, user = await read_body(call.request, GivenPassword), await _user(call)
    _refuse_own(call, user)
    async with acting(call, "user.password", user.address):
        changed = await accounts.set_password(
            admin_ports(call).directory,
            user.address,
            body.password,
            revoke_app_passwords=body.revoke_app_passwords,
        )
    await call.context.ended_sessions.close_sockets()
    given = UserPassword(id=user.user_id, address=user.address, password=changed.password)
    return json_response(given)


async def patch_user(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    body, user = await read_body(call.request, UserPatch), await _user(call)
    if body == UserPatch():
        raise Problem(400, "nothing_to_change", "Name at least one member.")
    if body.role is not UNSET or body.disabled is not UNSET:
        _refuse_own(call, user)
    async with acting(call, "user.change", user.address, msgspec.json.encode(body).decode()):
        await _change(call, user, body)
    if body.disabled is True:
        await call.context.ended_sessions.close_sockets()
    return json_response(await _detail(call, await _user(call)))


async def _change(call: AuthenticatedRequest, user: User, body: UserPatch) -> None:
    directory, config = admin_ports(call).directory, call.context.config
    if body.role is not UNSET:
        await accounts.set_role(directory, user.address, body.role)
    if body.disabled is not UNSET:
        await accounts.set_disabled(directory, user.address, disabled=body.disabled)
    if body.quota is not UNSET:
        start = QUOTA_UNSET if body.quota.reset else None
        change = QuotaChange(size_bytes=body.quota.bytes, messages=body.quota.mails, start=start)
        store = call.context.ports.store
        await quotas.user_quota(directory, store, user.address, change=change, default=config.quota)
    if body.limits is not UNSET:
        await sending_limits.user_limits(
            directory,
            user.address,
            change=body.limits.change,
            configured=config.sending_limits,
        )


async def _user(call: AuthenticatedRequest) -> User:
    user = await admin_ports(call).directory.user(UserId(call.request.match_info["id"]))
    if user is None:
        raise not_found()
    return user


def _refuse_own(call: AuthenticatedRequest, user: User) -> None:
    """Raises Problem 409: operators do not lock themselves out, and confirm an own new password."""
    if user.user_id == call.user_id:
        raise Problem(409, "refused", "This is your own account: another operator may do it.")


async def _detail(call: AuthenticatedRequest, user: User) -> UserDetail:
    context, directory = call.context, admin_ports(call).directory
    status = await quotas.user_quota(
        directory,
        context.ports.store,
        user.address,
        change=QuotaChange(),
        default=context.config.quota,
    )
    quota = UserQuota(
        used_bytes=status.used.size_bytes,
        used_mails=status.used.messages,
        limit_bytes=status.limits.size_bytes,
        limit_mails=status.limits.messages,
    )
    limits = await OwnLimits(directory, context.config.sending_limits).of_user(user)
    return UserDetail(**_row(user), quota=quota, limits=limits)


def _row(user: User) -> dict[str, Any]:
    return {
        "id": user.user_id,
        "address": user.address,
        "role": user.role,
        "disabled": user.disabled,
        "has_password": bool(user.password_hash),
        "created_at": rfc3339(user.created_at_ms),
    }


ROUTES = (
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/users",
        name="admin_users",
        summary="List users.",
        handler=list_users,
        query=("limit", "cursor"),
        response=UserList,
    ),
    OperatorRoute(
        method="POST",
        path=f"{PREFIX}/users",
        name="admin_add_user",
        summary="Add a user.",
        handler=add_user,
        body=NewUser,
        status=201,
        response=UserPassword,
        problems=(404, 409, *BODY_PROBLEMS),
    ),
    OperatorRoute(
        method="GET",
        path=f"{PREFIX}/users/{{id}}",
        name="admin_user",
        summary="Get a user with quota, usage and limits of sending.",
        handler=get_user,
        response=UserDetail,
        problems=(404,),
    ),
    OperatorRoute(
        method="PATCH",
        path=f"{PREFIX}/users/{{id}}",
        name="admin_patch_user",
        summary="Change role, quota or limits of a user; disable or enable the user.",
        handler=patch_user,
        body=UserPatch,
        response=UserDetail,
        problems=(404, 409, *BODY_PROBLEMS),
    ),
    OperatorRoute(
        method="POST",
        path=f"{PREFIX}/users/{{id}}/password",
        name="admin_set_password",
        summary="Set a new password of a user, whose sessions end.",
        handler=set_password,
        body=GivenPassword,
        response=UserPassword,
        problems=(404, 409, *BODY_PROBLEMS),
    ),
)

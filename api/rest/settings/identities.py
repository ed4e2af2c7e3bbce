"""/v1/identities: the addresses that the caller sends from, with names and signatures.

While no identity is stored, there is one of the account's address. It is stored with the first
change. A change is made again if other settings changed meanwhile.
"""

import re
from collections.abc import Callable

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType

from api.context import AuthenticatedRequest
from api.problems import Problem, not_found
from api.rest.mailbox_commands import ACCEPTED, BODY_PROBLEMS, COMMAND_PROBLEMS, accepted
from api.rest.parameters import id_of, query, read_body
from api.rest.responses import json_response
from api.rest.settings.updates import change, checked
from api.route import AuthenticatedRoute
from mail.ids import derived_id, new_id
from schemas.directory import User
from schemas.user_settings import SenderIdentity, SettingsPatch, UserSettings

PATH = "/v1/identities"
TRIES_MAX = 3  # of a change, while other settings change
Identities = tuple[SenderIdentity, ...]
_PLACE = re.compile(r"\$\.identities\[\d+\]|\$\.identities")


class IdentityList(msgspec.Struct, frozen=True, kw_only=True):
    """At least one; exactly one is the default."""

    identities: Identities


class NewIdentity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`address` is one of the caller's addresses. HTML is sanitised."""

    address: str
    name: str = ""
    reply_to: str | None = None
    signature_html: str = ""
    signature_text: str = ""
    signature_above_quote: bool = False
    is_default: bool = False


class IdentityPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields to change. The default changes by `is_default` true of another identity."""

    address: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    reply_to: str | UnsetType | None = UNSET
    signature_html: str | UnsetType = UNSET
    signature_text: str | UnsetType = UNSET
    signature_above_quote: bool | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET


def identities_of(settings: UserSettings, user: User) -> Identities:
    """The stored identities; without any, the identity of the account's address."""
    default_id = derived_id(user.user_id, "identity")
    return settings.identities or (
        SenderIdentity(id=default_id, address=user.address, is_default=True),
    )


def default_of(identities: Identities) -> SenderIdentity:
    return next(identity for identity in identities if identity.is_default)


async def list_identities(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    stored = await call.context.ports.store.settings(call.user_id)
    return json_response(IdentityList(identities=identities_of(stored.settings, call.caller.user)))


async def create_identity(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    body = await read_body(call.request, NewIdentity)
    new = SenderIdentity(id=new_id(), **msgspec.structs.asdict(body))
    after = await _change(call, lambda before: _one_default((*before, new), new))
    return _response(after, new.id, status=201)


async def patch_identity(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    id_ = id_of(call.request)
    body = await read_body(call.request, IdentityPatch)
    values = {
        name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET
    }

    def patched(before: Identities) -> Identities:
        changed = msgspec.structs.replace(_one(before, id_), **values)
        return _one_default(tuple(changed if one.id == id_ else one for one in before), changed)

    return _response(await _change(call, patched), id_)


async def delete_identity(call: AuthenticatedRequest) -> web.StreamResponse:
    """Raises Problem 409: it is the last identity, or the default."""
    query(call.request)
    id_ = id_of(call.request)

    def rest(before: Identities) -> Identities:
        if _one(before, id_).is_default:
            raise Problem(409, "refused", "Make another identity the default first.")
        return tuple(one for one in before if one.id != id_)

    after = await _change(call, rest)
    return accepted(PATH) if after is None else web.Response(status=204)


async def _change(
    call: AuthenticatedRequest, change_of: Callable[[Identities], Identities]
) -> Identities | None:
    """The identities after the change; None if it was not seen in time."""
    for left in reversed(range(TRIES_MAX)):
        stored = await call.context.ports.store.settings(call.user_id)
        identities = change_of(identities_of(stored.settings, call.caller.user))
        patch = await checked(
            call, SettingsPatch(identities=identities), place_of=lambda at: _PLACE.sub("$", at)
        )
        try:
            after = await change(call, patch, unchanged_since_seq=stored.changed_seq)
        except Problem as problem:
            if not left or problem.body.code != "changed_meanwhile":
                raise
        else:
            return None if after is None else after.settings.identities
    raise AssertionError


def _one(identities: Identities, id_: str) -> SenderIdentity:
    """Raises Problem 404: there is no such identity."""
    for identity in identities:
        if identity.id == id_:
            return identity
    raise not_found()


def _one_default(identities: Identities, changed: SenderIdentity) -> Identities:
    """The identities with one default: `changed`, if it is meant to be the default."""
    if not changed.is_default:
        return identities
    return tuple(
        msgspec.structs.replace(one, is_default=one.id == changed.id) for one in identities
    )


def _response(after: Identities | None, id_: str, *, status: int = 200) -> web.Response:
    """The identity; 404 if a later change has deleted it already."""
    return accepted(PATH) if after is None else json_response(_one(after, id_), status=status)


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path=PATH,
        name="identities",
        summary="List the addresses that the caller sends from, with names and signatures.",
        handler=list_identities,
        response=IdentityList,
    ),
    AuthenticatedRoute(
        method="POST",
        path=PATH,
        name="create_identity",
        summary="Add an identity with one of the caller's addresses.",
        handler=create_identity,
        body=NewIdentity,
        status=201,
        response=SenderIdentity,
        also=(ACCEPTED,),
        problems=(*COMMAND_PROBLEMS, 408, *BODY_PROBLEMS),
    ),
    AuthenticatedRoute(
        method="PATCH",
        path=f"{PATH}/{{id}}",
        name="patch_identity",
        summary="Change an identity.",
        handler=patch_identity,
        body=IdentityPatch,
        response=SenderIdentity,
        also=(ACCEPTED,),
        problems=(*COMMAND_PROBLEMS, 408, *BODY_PROBLEMS),
    ),
    AuthenticatedRoute(
        method="DELETE",
        path=f"{PATH}/{{id}}",
        name="delete_identity",
        summary="Delete an identity that is not the default.",
        handler=delete_identity,
        status=204,
        also=(ACCEPTED,),
        problems=COMMAND_PROBLEMS,
    ),
)

"""/v1/me/settings: all settings of the caller."""

from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.rest.conditional_requests import not_modified, required_seq_of, seq_etag
from api.rest.mailbox_commands import ACCEPTED, BODY_PROBLEMS, COMMAND_PROBLEMS, accepted
from api.rest.parameters import query, read_body
from api.rest.responses import json_response
from api.rest.settings.updates import change, checked
from api.route import AuthenticatedRoute
from mail.mailbox.user_settings import values_of
from schemas.user_settings import SettingsPatch, StoredSettings, UserSettings

PATH = "/v1/me/settings"


class SettingsResource(UserSettings, frozen=True, kw_only=True):
    """All settings. `changed_seq` is the seq of their last change, 0 if they never changed."""

    changed_seq: int


class SettingsUpdate(SettingsPatch, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New values of some settings. Each replaces the whole former value, also of a list."""


async def get_settings(call: AuthenticatedRequest) -> web.StreamResponse:
    query(call.request)
    stored = await call.context.ports.store.settings(call.user_id)
    etag = seq_etag(call, stored.changed_seq)
    return not_modified(call.request, etag) or _response(call, stored)


async def patch_settings(call: AuthenticatedRequest) -> web.StreamResponse:
    """Change the settings that the body names; a change of other settings meanwhile is kept."""
    query(call.request)
    body = await read_body(call.request, SettingsUpdate)
    stored = await call.context.ports.store.settings(call.user_id)
    since = required_seq_of(call, stored.changed_seq)
    patch = await checked(call, SettingsPatch(**values_of(body)))
    after = await change(call, patch, unchanged_since_seq=since)
    return accepted(PATH) if after is None else _response(call, after)


def settings_resource(stored: StoredSettings) -> SettingsResource:
    values = {name: getattr(stored.settings, name) for name in UserSettings.__struct_fields__}
    return SettingsResource(**values, changed_seq=stored.changed_seq)


def _response(call: AuthenticatedRequest, stored: StoredSettings) -> web.Response:
    return json_response(
        settings_resource(stored),
        headers={hdrs.ETAG: seq_etag(call, stored.changed_seq)},
    )


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path=PATH,
        name="settings",
        summary="Get all settings. Rules and the vacation reply are stored and not carried out.",
        handler=get_settings,
        response=SettingsResource,
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
    AuthenticatedRoute(
        method="PATCH",
        path=PATH,
        name="patch_settings",
        summary="Change the settings that the body names, each as a whole; get all settings.",
        handler=patch_settings,
        body=SettingsUpdate,
        response=SettingsResource,
        also=(ACCEPTED,),
        problems=(*COMMAND_PROBLEMS, 408, *BODY_PROBLEMS),
        conditions=(hdrs.IF_MATCH,),
    ),
)

"""GET /v1/start: what the first screen of a client shows, in one response."""

import asyncio
import hashlib
from importlib.metadata import version

import msgspec
from aiohttp import hdrs, web

from api.context import AuthenticatedRequest
from api.rest.conditional_requests import not_modified
from api.rest.folders import FolderResource, folder_resources
from api.rest.me import OwnAccount, own_account
from api.rest.parameters import query
from api.rest.responses import json_response
from api.rest.settings.document import SettingsResource, settings_resource
from api.rest.threads import ThreadList, thread_list
from api.route import AuthenticatedRoute
from mail.composing.outgoing_mail import RECIPIENTS_MAX
from schemas.conversations import ConversationFilter
from schemas.mailbox import INBOX

ROWS = 50  # conversations of the inbox
VERSION = version("postriver")


class ClientLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits that a client should know before a request; sizes in bytes.

    `remote_images`: the image proxy is on.
    """

    upload_bytes: int
    recipients: int
    undo_s: int
    remote_images: bool


class StartResource(msgspec.Struct, frozen=True, kw_only=True):
    """The account, its settings and folders, and the newest conversations of the inbox.

    `state`: the changes since then may be partly included; ask the feed for the rest. Labels and
    saved searches are in `settings`.
    """

    me: OwnAccount
    settings: SettingsResource
    folders: list[FolderResource]
    inbox: ThreadList
    state: str
    version: str
    limits: ClientLimits


async def get_start(call: AuthenticatedRequest) -> web.StreamResponse:
    """The first screen. Its entity tag depends on the mailbox, the account, limits and version."""
    query(call.request)
    store = call.context.ports.store
    first = await call.first_state()
    state = call.context.config.state(first.seq)
    stored = await store.settings(call.user_id)
    me = await own_account(call, stored.settings)
    limits = _limits(call)
    etag = _etag(state, me, limits)
    unchanged = not_modified(call.request, etag)
    if unchanged is not None:
        return unchanged
    inbox, folders = await asyncio.gather(
        store.conversations_at(
            call.user_id,
            INBOX,
            limit=ROWS,
            position=0,
            conditions=ConversationFilter(),
            state=first,
        ),
        folder_resources(call),
    )
    start = StartResource(
        me=me,
        settings=settings_resource(stored),
        folders=folders,
        inbox=thread_list(call, inbox),
        state=state,
        version=VERSION,
        limits=limits,
    )
    return json_response(start, headers={hdrs.ETAG: etag})


def _etag(state: str, me: OwnAccount, limits: ClientLimits) -> str:
    digest = hashlib.sha256(VERSION.encode() + msgspec.json.encode((me, limits))).hexdigest()
    return f'"{state}.{digest[:16]}"'


def _limits(call: AuthenticatedRequest) -> ClientLimits:
    config = call.context.config
    return ClientLimits(
        upload_bytes=config.uploads.size_max_bytes,
        recipients=RECIPIENTS_MAX,
        undo_s=config.undo_s,
        remote_images=call.context.ports.images is not None,
    )


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/start",
        name="start",
        summary="Get the first screen: account, settings, folders, newest conversations.",
        handler=get_start,
        response=StartResource,
        conditions=(hdrs.IF_NONE_MATCH,),
    ),
)

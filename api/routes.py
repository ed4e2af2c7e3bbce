"""The one table of routes: what is registered (api/app.py) and described (api/openapi.py)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from aiohttp import web

from api import (
    answers,
    changes,
    feed,
    feed_answers,
    files,
    health,
    inputs,
    lists,
    login,
    push,
    reading,
    search,
)
from api.edge import open_to_all, signed_in

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method and a path. `signed` routes answer 401 as well, those with ids 404."""

    method: str
    path: str
    name: str  # the operation's id
    summary: str
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]]
    signed: bool
    query: tuple[str, ...] = ()  # described in api/openapi.py
    body: type[msgspec.Struct] | None = None
    answer: type[msgspec.Struct] | None = None
    frames: tuple[type[msgspec.Struct], ...] = ()  # of a WebSocket
    also: tuple[tuple[int, type[msgspec.Struct] | None], ...] = ()  # other successes
    media_type: str = JSON
    status: int = 200
    problems: tuple[int, ...] = ()


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/v1/login",
        name="login",
        summary="Sign in. The token is for programs; a browser gets a cookie beside it.",
        handle=open_to_all(login.login),
        signed=False,
        body=inputs.Login,
        answer=answers.LoggedIn,
        problems=(400, 401, 403, 413, 415, 429, 503),
    ),
    Route(
        method="POST",
        path="/v1/logout",
        name="logout",
        summary="End this sign-in and its sockets.",
        handle=signed_in(login.logout),
        signed=True,
        status=204,
        problems=(400, 403, 503),
    ),
    Route(
        method="GET",
        path="/v1/me",
        name="me",
        summary="Who is signed in.",
        handle=signed_in(login.me),
        signed=True,
        answer=answers.Me,
        problems=(400, 503),
    ),
    Route(
        method="GET",
        path="/v1/folders",
        name="folders",
        summary="The folders, with counts.",
        handle=signed_in(lists.folders),
        signed=True,
        answer=answers.Folders,
        problems=(400, 503),
    ),
    Route(
        method="GET",
        path="/v1/folders/{id}/messages",
        name="messages",
        summary="A page of a folder, newest first, stable while mail arrives.",
        handle=signed_in(lists.messages),
        signed=True,
        query=("unread", "limit", "cursor"),
        answer=answers.MessagePage,
        problems=(400, 404, 503),
    ),
    Route(
        method="GET",
        path="/v1/messages/{id}",
        name="message",
        summary="One message; its html is sanitised and loads nothing.",
        handle=signed_in(reading.message),
        signed=True,
        answer=answers.Detail,
        problems=(400, 404, 503),
    ),
    Route(
        method="PATCH",
        path="/v1/messages/{id}",
        name="patch_message",
        summary="Change unread, flagged or both; answered when counts, lists and push show it.",
        handle=signed_in(changes.patch_message),
        signed=True,
        body=inputs.MessagePatch,
        answer=answers.Summary,
        also=((202, answers.Accepted),),
        problems=(400, 403, 404, 409, 413, 415, 503),
    ),
    Route(
        method="GET",
        path="/v1/messages/{id}/raw",
        name="raw",
        summary="The message as it is kept: trace header, then the bytes as accepted.",
        handle=signed_in(files.raw),
        signed=True,
        media_type="message/rfc822",
        problems=(400, 404, 429, 503),
    ),
    Route(
        method="GET",
        path="/v1/messages/{id}/attachments/{n}",
        name="attachment",
        summary="An attachment, for saving.",
        handle=signed_in(files.attachment),
        signed=True,
        media_type="application/octet-stream",
        problems=(400, 404, 429, 503),
    ),
    Route(
        method="GET",
        path="/v1/search",
        name="search",
        summary="Messages that match, by date or relevance. A page may be short of `limit`.",
        handle=signed_in(search.search),
        signed=True,
        query=("q", "order", "tz", "limit", "cursor"),
        answer=answers.SearchPage,
        problems=(400, 503),
    ),
    Route(
        method="GET",
        path="/v1/changes",
        name="changes",
        summary="What happened after `since`, in whole steps: a page may have more than `limit`.",
        handle=signed_in(feed.changes),
        signed=True,
        query=("since", "limit"),
        answer=feed_answers.Changes,
        problems=(400, 410, 503),
    ),
    Route(
        method="GET",
        path="/v1/snapshot",
        name="snapshot",
        summary="Every message's place and keywords, to start from where changes are gone.",
        handle=signed_in(feed.snapshot),
        signed=True,
        query=("limit", "cursor"),
        answer=feed_answers.SnapshotPage,
        problems=(400, 503),
    ),
    Route(
        method="GET",
        path="/v1/push",
        name="push",
        summary="WebSocket: changes after `since` and from then on, or from now on.",
        handle=open_to_all(push.push),
        signed=False,
        query=("since",),
        frames=(feed_answers.ChangeFrame, feed_answers.FolderFrame, feed_answers.LiveFrame),
        status=101,
        problems=(400, 401, 403, 410, 426, 429, 503),
    ),
    Route(
        method="GET",
        path="/healthz",
        name="healthz",
        summary="The process answers.",
        handle=open_to_all(health.healthz),
        signed=False,
        answer=answers.Health,
    ),
    Route(
        method="GET",
        path="/readyz",
        name="readyz",
        summary="The service can do its work; reasons and warnings for operators.",
        handle=open_to_all(health.readyz),
        signed=False,
        answer=answers.Readiness,
        also=((503, answers.Readiness),),
    ),
)

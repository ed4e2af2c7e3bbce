"""A user's mailbox as the edge shows it live: a short session, then the push socket."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

from cli.accounts import find, new_token
from cli.config.config import Config
from cli.wiring.certificates import pair_of
from cli.wiring.profile import open_directory
from mail.clock import now_ms
from mail.errors import Refused
from schemas.directory import Session, User

SESSION_MS = 12 * 3600 * 1000


class EdgeUnreachable(Refused):
    """The edge does not answer."""

    def __init__(self, config: Config) -> None:
        super().__init__(f"nothing answers at {config.http_url}: start with postriver up")


@dataclass(frozen=True, slots=True)
class PushClient:
    """An open push socket and a client that may ask for the user's mail."""

    user: User
    socket: aiohttp.ClientWebSocketResponse
    http: aiohttp.ClientSession

    async def message(self, message_id: str) -> dict[str, Any]:
        """GET /v1/messages/{id}."""
        async with self.http.get(f"/v1/messages/{message_id}") as answer:
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found

    async def changes(self) -> AsyncIterator[dict[str, Any]]:
        """Push frames of type `change`, until the socket ends."""
        async for frame in self.socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                continue
            body = frame.json()
            if body.get("type") == "change":
                yield body


@asynccontextmanager
async def live(config: Config, address: str) -> AsyncIterator[PushClient]:
    """Sign in as `address` on the operator's authority; the session ends with the block."""
    async with open_directory() as directory:
        user = await find(directory, address)
        token = new_token()
        digest = hashlib.sha256(token.encode()).hexdigest()
        expires_at_ms = now_ms() + SESSION_MS
        await directory.add_session(
            Session(token_sha256=digest, user_id=user.user_id, expires_at_ms=expires_at_ms)
        )
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with (
                aiohttp.ClientSession(
                    config.http_url, headers=headers, connector=_connector(config)
                ) as http,
                http.ws_connect("/v1/push", heartbeat=20) as socket,
            ):
                yield PushClient(user, socket, http)
        except aiohttp.ClientConnectionError as error:
            raise EdgeUnreachable(config) from error
        except aiohttp.WSServerHandshakeError as error:
            why = "disabled?" if error.status == HTTPStatus.UNAUTHORIZED else error.message
            raise Refused(f"{address}: push refused with {error.status} ({why})") from error
        finally:
            await directory.end_session(digest)


def _connector(config: Config) -> aiohttp.TCPConnector | None:
    """Over HTTPS, to the holder of this installation's own certificate and nobody else."""
    if not config.https:
        return None
    return aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(pair_of(config).sha256()))

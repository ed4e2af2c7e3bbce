"""Client of the HTTP API for `demo` and `watch`: a session of its own, then the push socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

from cli.config.config import Config
from cli.wiring.certificates import pair_of
from cli.wiring.profile import open_directory
from edge.sign_in.session_tokens import new_token, token_sha256
from mail.clock import now_ms
from mail.errors import Refused
from operations.accounts import get_user
from schemas.directory import Session, User
from schemas.ids import MessageId

SESSION_MS = 12 * 3600 * 1000


class ApiUnreachable(Refused):
    """The role api does not answer."""

    def __init__(self, config: Config) -> None:
        super().__init__(f"nothing answers at {config.http_url}: start with postriver up")


@dataclass(frozen=True, slots=True)
class PushClient:
    """An open push socket and an HTTP client, both signed in as `user`."""

    user: User
    socket: aiohttp.ClientWebSocketResponse
    http: aiohttp.ClientSession

    async def message(self, message_id: MessageId) -> dict[str, Any]:
        """GET /v1/messages/{id}."""
        return await self.get(f"/v1/messages/{message_id}")

    async def get(self, path: str) -> dict[str, Any]:
        """GET `path`. Raises aiohttp.ClientResponseError."""
        async with self.http.get(path) as response:
            response.raise_for_status()
            body: dict[str, Any] = await response.json()
            return body

    async def post(self, path: str, body: object, headers: dict[str, str]) -> dict[str, Any]:
        """POST `body` as JSON. Raises Refused: the answer is an error."""
        async with self.http.post(path, json=body, headers=headers) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise Refused(f"{path}: {response.status} {answer.get('detail', '')}")
            return answer

    async def changes(self) -> AsyncIterator[dict[str, Any]]:
        """Yield push frames of type `change` until the socket is closed."""
        async for frame in self.socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                continue
            body = frame.json()
            if body.get("type") == "change":
                yield body


@asynccontextmanager
async def live(config: Config, address: str) -> AsyncIterator[PushClient]:
    """Open a session for `address` in the directory, without a password; end it with the block.

    Raises NotFound; Refused: the push socket was refused; ApiUnreachable.
    """
    async with open_directory() as directory:
        user = await get_user(directory, address)
        token = new_token()
        digest = token_sha256(token)
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
            raise ApiUnreachable(config) from error
        except aiohttp.WSServerHandshakeError as error:
            why = "disabled?" if error.status == HTTPStatus.UNAUTHORIZED else error.message
            raise Refused(f"{address}: push refused with {error.status} ({why})") from error
        finally:
            await directory.end_session(digest)


def _connector(config: Config) -> aiohttp.TCPConnector | None:
    """Over HTTPS, accept the certificate of this installation only."""
    if not config.https:
        return None
    return aiohttp.TCPConnector(ssl=aiohttp.Fingerprint(pair_of(config).sha256()))

"""Users of a Kafka cluster with a password by SCRAM (KIP-554): made, or given the password again.

aiokafka has no such request, so this file defines it. The broker gets salted passwords
(RFC 5802 §3), not the passwords.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from mail.errors import BrokerUnavailable, Fatal
from streams.config import TopicsConfig

MECHANISM = "SCRAM-SHA-512"
ITERATIONS = 4096  # Kafka's least; passwords are 256 random bits
_SALT_BYTES = 32
_SHA_512 = 2  # Kafka's code of the mechanism
_ALTER = 51
_TEXT = CompactString("utf-8")

_Row = tuple[str, int, int, bytes, bytes, dict[int, bytes]]


async def ensure_users(config: TopicsConfig, passwords: Mapping[str, str]) -> None:
    """Return once each user has its password. `config.bootstrap` must name a super user.

    Raises BrokerUnavailable. Fatal: the user may not make users.
    """
    client = AIOKafkaClient(**config.bootstrap.options)
    try:
        async with asyncio.timeout(config.request_limit_s):
            await client.bootstrap()
            rows = [_row(user, password) for user, password in passwords.items()]
            answer = await client.send(client.get_random_node(), _Alter(rows))
            for user, code, message, _ in answer.results:
                if code:
                    raise for_code(code)(f"{user}: {message}")
    except ClusterAuthorizationFailedError as exc:
        user = config.bootstrap.user
        raise Fatal(f"{user} may not make users: {exc!r}; it must be a super user") from exc
    except (KafkaError, TimeoutError) as exc:
        raise BrokerUnavailable(f"{config.bootstrap}: {exc!r}") from exc
    finally:
        await client.close()


def _row(user: str, password: str) -> _Row:
    salt = secrets.token_bytes(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return user, _SHA_512, ITERATIONS, salt, salted, {}


class _AlterResponse(Response):
    API_KEY = _ALTER
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", _TEXT),
                ("error_code", Int16),
                ("error_message", _TEXT),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterStruct(RequestStruct):
    API_KEY = _ALTER
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _AlterResponse
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(("name", _TEXT), ("mechanism", Int8), ("tags", TaggedFields)),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", _TEXT),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Alter(Request[_AlterStruct]):
    API_KEY = _ALTER

    def __init__(self, rows: list[_Row]) -> None:
        self._rows = rows

    def build(self, request_struct_class: type[_AlterStruct]) -> _AlterStruct:
        return request_struct_class([], self._rows, {})

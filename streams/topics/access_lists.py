"""Access lists on the broker: make them equal to access_rules.py.

One request of aiokafka carries one entry, and its admin client has no method for access lists. So
this file defines requests for many entries, in the versions that Kafka 4 has (KIP-290).
"""

import asyncio
import logging
from collections.abc import Collection, Iterable

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    for_code,
)
from aiokafka.protocol.admin import (
    CreateAclsRequest_v1,
    DeleteAclsRequest_v1,
    DescribeAclsRequest_v1,
)
from aiokafka.protocol.api import Request

from mail.errors import BrokerUnavailable, Fatal
from streams.config import TopicsConfig
from streams.topics.access_rules import USERS, Grant, grants

_log = logging.getLogger(__name__)
_POLL_S = 0.1
_ANY = 1  # matches everything in a filter
_LITERAL = 3  # the pattern is a whole name; `*` matches all names
_ALLOW = 3
_EVERYWHERE = "*"  # host
_SECURITY_DISABLED = 54  # Kafka's code of an error
_PRINCIPALS = frozenset(f"User:{user}" for user in USERS)

_Row = tuple[int, str, int, str, str, int, int]  # in the order of requests and answers


async def ensure_access(config: TopicsConfig, *, required: Collection[Grant] = grants()) -> None:
    """Return once the broker's access lists for USERS are exactly `required`.

    Entries of other users are left, those of administrators of the cluster among them.
    `config.bootstrap` must name a user who may change access lists. After topics are created the
    broker takes some seconds to apply them.
    Raises BrokerUnavailable. Fatal: there are no access lists, or the user may not change them.
    """
    client = AIOKafkaClient(**config.bootstrap.options)
    try:
        async with asyncio.timeout(config.request_limit_s):
            await client.bootstrap()
            existing = await _existing(client)
            rows = {_row(grant) for grant in required}
            await _create(client, sorted(rows - existing))
            await _delete(client, sorted(existing - rows))
            while await _existing(client) != rows:  # noqa: ASYNC110  (the broker has no event)
                await asyncio.sleep(_POLL_S)
    except ClusterAuthorizationFailedError as exc:
        user = config.bootstrap.user
        raise Fatal(f"{user} may not change access lists: it must be a super user") from exc
    except (KafkaError, TimeoutError) as exc:
        raise BrokerUnavailable(f"{config.bootstrap}: {exc!r}") from exc
    finally:
        await client.close()


def _row(grant: Grant) -> _Row:
    principal = f"User:{grant.user}"
    return grant.kind, grant.name, _LITERAL, principal, _EVERYWHERE, grant.operation, _ALLOW


async def _existing(client: AIOKafkaClient) -> set[_Row]:
    answer = await client.send(client.get_random_node(), _Describe())
    _check(answer.error_code, answer.error_message)
    return {
        (kind, name, pattern, principal, host, operation, permission)
        for kind, name, pattern, entries in answer.resources
        for principal, host, operation, permission in entries
        if principal in _PRINCIPALS
    }


async def _create(client: AIOKafkaClient, rows: list[_Row]) -> None:
    if rows:
        answer = await client.send(client.get_random_node(), _Create(rows))
        for code, message in answer.creation_responses:
            _check(code, message)


async def _delete(client: AIOKafkaClient, rows: list[_Row]) -> None:
    for row in rows:
        _log.warning("access list: removed %s", row)
    if rows:
        answer = await client.send(client.get_random_node(), _Delete(rows))
        for code, message, _ in answer.filter_responses:
            _check(code, message)


def _check(code: int, message: str | None) -> None:
    if code == _SECURITY_DISABLED:
        raise Fatal(f"the broker has no access lists: {message}")
    if code:
        raise for_code(code)(message)


class _Describe(Request[DescribeAclsRequest_v1]):
    """Request for all entries."""

    API_KEY = DescribeAclsRequest_v1.API_KEY

    def build(self, request_struct_class: type[DescribeAclsRequest_v1]) -> DescribeAclsRequest_v1:
        return request_struct_class(_ANY, None, _ANY, None, None, _ANY, _ANY)


class _Create(Request[CreateAclsRequest_v1]):
    API_KEY = CreateAclsRequest_v1.API_KEY

    def __init__(self, rows: Iterable[_Row]) -> None:
        self._rows = list(rows)

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        return request_struct_class(self._rows)


class _Delete(Request[DeleteAclsRequest_v1]):
    API_KEY = DeleteAclsRequest_v1.API_KEY

    def __init__(self, rows: Iterable[_Row]) -> None:
        self._rows = list(rows)

    def build(self, request_struct_class: type[DeleteAclsRequest_v1]) -> DeleteAclsRequest_v1:
        return request_struct_class(self._rows)

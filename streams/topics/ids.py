"""Topic ids: the UUID that the broker gives a topic when it is created.

Offsets alone do not show that a topic was deleted and created again, once the new topic has grown
past the old position. The id does (KIP-516). aiokafka 0.14 speaks metadata up to version 5, and ids
begin with version 10; so this file defines the one message that contains them.
"""

import uuid
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

_METADATA = 3
_VERSION = 12


class _Uuid:
    """A UUID as 16 bytes; aiokafka has no such type."""

    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: Any) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))

    @classmethod
    def repr(cls, value: uuid.UUID) -> str:
        return str(value)


class _MetadataResponse(Response):
    API_KEY = _METADATA
    API_VERSION = _VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _MetadataRequestStruct(RequestStruct):
    API_KEY = _METADATA
    API_VERSION = _VERSION
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id", _Uuid),
                ("name", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_MetadataRequestStruct]):
    API_KEY = _METADATA

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_MetadataRequestStruct]) -> _MetadataRequestStruct:
        return request_struct_class([(uuid.UUID(int=0), self._topic, {})], False, False, {})


async def topic_identity(client: AIOKafkaClient, topic: str) -> tuple[uuid.UUID, int]:
    """Return id and number of partitions of `topic`, from any broker.

    Raises UnknownTopicOrPartitionError: no such topic. Raises KafkaError: no broker answers.
    """
    topic_id, partitions = await _described(client, topic)
    return topic_id, len(partitions)


async def topic_sizes(client: AIOKafkaClient, topic: str) -> tuple[int, int]:
    """Return the number of partitions, and of replicas of the partition that has the fewest.

    Raises as `topic_identity`.
    """
    _, partitions = await _described(client, topic)
    return len(partitions), min(len(replicas) for *_, replicas, _, _, _ in partitions)


async def _described(client: AIOKafkaClient, topic: str) -> tuple[uuid.UUID, list[Any]]:
    answer = await client.send(client.get_random_node(), _MetadataRequest(topic))
    error_code, _, topic_id, _, partitions, *_ = answer.topics[0]
    if error_code:
        raise for_code(error_code)(topic)
    return topic_id, partitions

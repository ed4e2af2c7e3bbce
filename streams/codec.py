"""Events as bytes: MessagePack, one tagged union per topic.

A reader of a topic takes what the topic carries and nothing else, in the form of this version or
of an earlier one; unknown fields are passed over, so that a newer writer does not stop an older
reader.
"""

from functools import lru_cache
from typing import Any, Union, cast

import msgspec

from mail.errors import Undecodable
from schemas.events.legacy import OLDER, current
from schemas.events.unions import Event
from streams.topology import BY_NAME, Topic

_encoder = msgspec.msgpack.Encoder()


def encode(event: Event) -> bytes:
    """The bytes of an event. ValueError when it cannot be written (lone surrogates)."""
    return _encoder.encode(event)


def decode(topic_name: str, offset: int, raw: bytes | None) -> Event:
    """The event in `raw`, which stands at `offset` of a topic of the table. Undecodable."""
    return cast("Event", decode_of(BY_NAME[topic_name], offset, raw))


def decode_of(topic: Topic, offset: int, raw: bytes | None) -> Any:
    """As `decode`, for any topic. Undecodable: no bytes, other bytes, or another topic's event."""
    try:
        return current(_decoder(topic.carries).decode(raw or b""))
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise Undecodable(topic.name, offset, exc) from exc


@lru_cache(maxsize=64)
def _decoder(carries: tuple[type, ...]) -> msgspec.msgpack.Decoder[Any]:
    older = tuple(OLDER[kind] for kind in carries if kind in OLDER)
    return msgspec.msgpack.Decoder(Union[carries + older])  # noqa: UP007  (made at run time)


Headers = list[tuple[str, bytes]]

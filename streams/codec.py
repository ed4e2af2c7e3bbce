"""Encoding of events: MessagePack, one tagged union per topic.

A topic's decoder accepts the events that the topic carries and no other, in the form of this
version or of an earlier version. It ignores unknown fields, so that a newer writer does not stop an
older reader.
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
    """Return the bytes of an event. Raises ValueError: it cannot be encoded (lone surrogates)."""
    return _encoder.encode(event)


def decode(topic_name: str, offset: int, raw: bytes | None) -> Event:
    """Return the event in `raw`, the record at `offset` of a topic. Raises as `decode_of`."""
    return decode_of(BY_NAME[topic_name], offset, raw)


def decode_of(topic: Topic, offset: int, raw: bytes | None) -> Event:
    """Return the event in `raw`; `topic` need not be in the table of topics.

    Raises Undecodable: empty, malformed, or an event that `topic` does not carry.
    """
    try:
        return cast("Event", current(_decoder(topic.carries).decode(raw or b"")))
    except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
        raise Undecodable(topic.name, offset, exc) from exc


@lru_cache(maxsize=64)
def _decoder(carries: tuple[type, ...]) -> msgspec.msgpack.Decoder[Any]:
    older = tuple(OLDER[kind] for kind in carries if kind in OLDER)
    return msgspec.msgpack.Decoder(Union[carries + older])  # noqa: UP007  (built at run time)


Headers = list[tuple[str, bytes]]

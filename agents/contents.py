"""A mail's octets for an agent, and work on them that must not hold the event loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from mail.ports import ContentStore
from schemas.content import Content, Inline, Stored

OFF_LOOP_FROM_BYTES = 256 * 1024  # below, parsing costs less than the way to a thread

T = TypeVar("T")


async def read_content(content: Content, contents: ContentStore) -> bytes:
    """The octets. ContentMissing, StoreUnavailable."""
    if isinstance(content, Inline):
        return content.data
    return await contents.get(content.ref)


async def keep_content(mail_id: str, content: Content, contents: ContentStore) -> Stored:
    """Durable in the content store from now on, whether it travelled inline or not."""
    if isinstance(content, Stored):
        return content
    return await contents.put(mail_id, content.data)


async def parse_off_loop(parse: Callable[[bytes], T], content: bytes) -> T:
    """`parse(content)`, in a thread when it is big."""
    if len(content) < OFF_LOOP_FROM_BYTES:
        return parse(content)
    return await asyncio.to_thread(parse, content)

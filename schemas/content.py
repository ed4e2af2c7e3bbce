"""Where a mail's bytes are: inside the event while small, in the content store otherwise."""

import msgspec

CONTENT_INLINE_MAX_BYTES = 32 * 1024


class Inline(msgspec.Struct, frozen=True, tag="inline"):
    """The bytes themselves; at most CONTENT_INLINE_MAX_BYTES of them."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.data)


class Stored(msgspec.Struct, frozen=True, tag="stored"):
    """A reference into the content store."""

    ref: str
    size_bytes: int
    sha256: str


Content = Inline | Stored


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """While it lasts, no content is deleted. It lives as long as `beats` grows."""

    lease_id: str
    purpose: str  # for operators
    taken_at_ms: int
    beats: int

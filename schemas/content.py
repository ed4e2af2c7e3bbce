"""Location of a mail's octets: inline in the event if small, otherwise in the content store."""

import msgspec

CONTENT_INLINE_MAX_BYTES = 32 * 1024


class Inline(msgspec.Struct, frozen=True, tag="inline"):
    """The octets themselves; at most CONTENT_INLINE_MAX_BYTES."""

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
    """A lease on the whole content store: no content is deleted while `beats` keeps growing."""

    lease_id: str
    purpose: str  # for operators
    taken_at_ms: int
    beats: int


class PackingCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What the packing of contents did since the start of the process."""

    contents: int  # small contents that were moved into segments
    written: int  # segments of them
    compacted: int  # segments whose contents were moved out
    deleted: int  # segments

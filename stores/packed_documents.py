"""Documents as search indexes keep them: packed head with the short texts, and packed body."""

import zlib

import msgspec

from mail.query.tokenizer import TEXT_MAX_CHARS
from mail.query.tree import SEARCHED_FIELDS
from schemas.search import IndexDocument

_ZLIB_LEVEL = 1  # three times faster than the default level, and a tenth larger

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(IndexDocument).decode


def packed(document: IndexDocument) -> tuple[bytes, bytes]:
    """Encode head and body, with searchable texts cut to TEXT_MAX_CHARS, in valid Unicode."""
    texts = {field: _valid(getattr(document, field)) for field in SEARCHED_FIELDS}
    body = texts["body"].encode()
    head = msgspec.structs.replace(
        document,
        **texts | {"body": ""},
        headers=tuple((_valid(name), _valid(value)) for name, value in document.headers),
        header_ids={field: tuple(map(_valid, ids)) for field, ids in document.header_ids.items()},
    )
    return _pack(head), body


def compressed(octets: bytes) -> bytes:
    """Return `octets` for storage."""
    return zlib.compress(octets, _ZLIB_LEVEL)


def unpacked(head: bytes, body: bytes | None) -> IndexDocument:
    """Return the document that was packed; without `body` its text is empty."""
    document = _unpack(zlib.decompress(head))
    if body is None:
        return document
    return msgspec.structs.replace(document, body=zlib.decompress(body).decode())


def _valid(text: str) -> str:
    text = text[:TEXT_MAX_CHARS]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()

"""The indices of the search: documents of messages, and the progress of each user."""

from typing import Any

from schemas.search import IndexDocument

SEARCH_VERSION = 2
TEXTS = ("subject", "sender", "to", "cc", "bcc", "body", "filenames")  # of IndexDocument
assert set(TEXTS) <= set(IndexDocument.__struct_fields__)

# Texts are tokens of mail/query/tokenizer.py, separated by spaces. They are not kept in _source:
# `head` and `body` have the document they were made of (stores/packed_documents.py).
_TOKENS = {
    "type": "text",
    "analyzer": "whitespace",
    "norms": False,
    "index_prefixes": {"min_chars": 1, "max_chars": 2},
}
SEARCH: dict[str, Any] = {
    "dynamic": "strict",
    "_routing": {"required": True},
    "_source": {"excludes": ["text"]},
    "properties": {
        "user": {"type": "keyword"},
        "message_id": {"type": "keyword"},
        "received_at_ms": {"type": "long"},
        "size_bytes": {"type": "long"},
        "sent_day": {"type": "long"},
        "attached": {"type": "boolean"},
        "about": {"type": "keyword"},  # names of header fields and message ids, hashed
        "text": {"properties": dict.fromkeys(TEXTS, _TOKENS)},
        "head": {"type": "binary"},
        "body": {"type": "binary"},
    },
}
PROGRESS: dict[str, Any] = {  # one document for each user
    "dynamic": "strict",
    "properties": {
        "user": {"type": "keyword"},
        "epoch": {"type": "keyword", "index": False, "doc_values": False},
        "seq": {"type": "long", "index": False, "doc_values": False},
        "unfilled": {"type": "boolean"},
    },
}


def settings(shards: int, replicas: int, refresh: str) -> dict[str, Any]:
    """Settings of the index of documents. Documents are in the order in which pages list them."""
    return {
        "number_of_shards": shards,
        "number_of_replicas": replicas,
        "refresh_interval": refresh,
        "sort.field": ["received_at_ms", "message_id"],
        "sort.order": ["desc", "desc"],
        "translog.durability": "request",
    }

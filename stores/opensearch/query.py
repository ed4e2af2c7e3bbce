"""Documents and queries in the form of OpenSearch, over the tokens of mail/query/tokenizer.py.

OpenSearch decides words, phrases, beginnings of words, names of header fields and message ids. The
beginning of a word at the end of a phrase it does not decide exactly: such a phrase is narrowed to
its parts, and the documents decide (mail/query/narrowing.py).
"""

import base64
import hashlib
from typing import Any

from mail.query.matcher import sent_day
from mail.query.narrowing import is_indexed
from mail.query.planner import IndexQuery
from mail.query.tokenizer import tokens
from mail.query.tree import (
    ID_FIELDS,
    SEARCHED_FIELDS,
    And,
    HeaderContains,
    Leaf,
    Node,
    Not,
    Or,
    RelatedTo,
    WordsNode,
    phrase,
)
from schemas.ids import MessageId, UserId
from schemas.search import IndexDocument
from stores.packed_documents import compressed, packed

Query = dict[str, Any]


def decides(leaf: Leaf) -> bool:
    """Whether OpenSearch decides `leaf` exactly."""
    if isinstance(leaf, WordsNode):
        words, prefix = phrase(leaf)
        return len(words) == 1 or not prefix
    return is_indexed(leaf)


def document_id(user_id: UserId, message_id: MessageId) -> str:
    return f"{user_id}:{message_id}"


def source_of(document: IndexDocument) -> tuple[dict[str, Any], int]:
    """Return the document as it is sent, and about how many octets it has."""
    head, body = (base64.b64encode(compressed(part)).decode() for part in packed(document))
    texts = {field: " ".join(tokens(getattr(document, field))) for field in SEARCHED_FIELDS}
    about = {name_key(name) for name, _ in document.headers}
    about |= {id_key(f, id_) for f in ID_FIELDS for id_ in document.header_ids.get(f, ())}
    source = {
        "user": document.user_id,
        "message_id": document.message_id,
        "received_at_ms": document.received_at_ms,
        "size_bytes": document.size_bytes,
        "sent_day": sent_day(document),
        "attached": document.has_attachments,
        "about": sorted(about),
        "text": texts,
        "head": head,
        "body": body,
    }
    return source, len(head) + len(body) + sum(map(len, texts.values()))


def documents_of(user_id: UserId, query: IndexQuery, text: Node) -> Query:
    """Return the query for documents of the user within the bounds of `query` that match `text`."""
    bounds = {
        "received_at_ms": {"gte": query.since_ms, "lt": query.before_ms},
        "size_bytes": {"gte": query.min_bytes, "lte": query.max_bytes},
        "sent_day": {"gte": query.sent_since_day, "lt": query.sent_before_day},
    }
    required: list[Query] = [{"term": {"user": user_id}}]
    for field, bound in bounds.items():
        given = {name: value for name, value in bound.items() if value is not None}
        if given:
            required.append({"range": {field: given}})
    if query.has_attachments is not None:
        required.append({"term": {"attached": query.has_attachments}})
    return {"bool": {"filter": [*required, _node(text)]}}


def _node(node: Node) -> Query:
    match node:
        case And(of):
            return {"bool": {"filter": [_node(part) for part in of]}} if of else {"match_all": {}}
        case Or(of):
            parts = [_node(part) for part in of]
            return _any(parts) if parts else {"match_none": {}}
        case Not(of):
            return {"bool": {"must_not": [_node(of)]}}
        case WordsNode(_, field):
            fields = (field,) if field else SEARCHED_FIELDS
            return _any([_words(node, each) for each in fields])
        case HeaderContains(name, ""):
            return {"term": {"about": name_key(name)}}
        case RelatedTo(id_, field):
            keys = [id_key(each, id_) for each in ((field,) if field else ID_FIELDS)]
            return {"terms": {"about": keys}}
        case _:
            raise ValueError(f"the index cannot search for {node}")


def _words(words: WordsNode, field: str) -> Query:
    sequence, prefix = phrase(words)
    name = f"text.{field}"
    if prefix:
        (word,) = sequence  # see `decides`
        return {"prefix": {name: {"value": word}}}
    if len(sequence) == 1:
        return {"term": {name: {"value": sequence[0]}}}
    return {"match_phrase": {name: {"query": " ".join(sequence)}}}


def _any(parts: list[Query]) -> Query:
    return parts[0] if len(parts) == 1 else {"bool": {"should": parts, "minimum_should_match": 1}}


def name_key(name: str) -> str:
    return f"name {_hashed(name)}"


def id_key(field: str, id_: str) -> str:
    return f"{field} {_hashed(id_)}"


def _hashed(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()

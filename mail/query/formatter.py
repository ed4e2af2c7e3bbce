"""A tree written down as a person would type it; read again, it is the same tree."""

from mail.clock import rfc3339
from mail.query.fields import ANYWHERE, TEXT_FIELDS
from mail.query.tree import (
    And,
    FactNode,
    HasAttachment,
    HasState,
    InFolder,
    LargerThan,
    Node,
    Not,
    Or,
    ReceivedBefore,
    WordsNode,
)

_TYPED = {field: name for name, field in TEXT_FIELDS.items()}


def unparse(node: Node) -> str:
    """`node`, in normal form, as a query."""
    match node:
        case And(()):
            return f"in:{ANYWHERE}"
        case Or(()):
            return f"-in:{ANYWHERE}"
        case And(of):
            return " ".join(map(_within, of))
        case Or(of):
            return " OR ".join(map(_within, of))
        case Not(of):
            return f"-{_within(of)}"
    return _words(node) if isinstance(node, WordsNode) else _fact(node)


def _fact(fact: FactNode) -> str:
    match fact:
        case ReceivedBefore(at_ms):
            return f"before:{rfc3339(at_ms)}"
        case LargerThan(size_bytes):
            return f"larger:{size_bytes}"
        case HasAttachment():
            return "has:attachment"
        case InFolder(folder_id):
            return f'in:"{folder_id}"'
        case HasState(state):
            return f"is:{state}"


def _within(node: Node) -> str:
    """As a part of another tree."""
    is_joined = isinstance(node, And | Or) and node.of
    return f"({unparse(node)})" if is_joined else unparse(node)


def _words(words: WordsNode) -> str:
    field = f"{_TYPED[words.field]}:" if words.field else ""
    return f'{field}"{" ".join(words.pieces)}"{"*" if words.prefix else ""}'

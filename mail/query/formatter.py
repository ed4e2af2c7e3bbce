"""Format a query tree as query text. Parsing the text returns the same tree."""

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

_FIELD_NAMES = {field: name for name, field in TEXT_FIELDS.items()}


def format_query(node: Node) -> str:
    """Return the query text of `node`, which is in normal form."""
    match node:
        case And(()):
            return f"in:{ANYWHERE}"
        case Or(()):
            return f"-in:{ANYWHERE}"
        case And(of):
            return " ".join(map(_operand, of))
        case Or(of):
            return " OR ".join(map(_operand, of))
        case Not(of):
            return f"-{_operand(of)}"
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


def _operand(node: Node) -> str:
    """Return the text of a part of another tree, in parentheses where they are needed."""
    needs_parentheses = isinstance(node, And | Or) and node.of
    return f"({format_query(node)})" if needs_parentheses else format_query(node)


def _words(words: WordsNode) -> str:
    field = f"{_FIELD_NAMES[words.field]}:" if words.field else ""
    return f'{field}"{" ".join(words.pieces)}"{"*" if words.prefix else ""}'

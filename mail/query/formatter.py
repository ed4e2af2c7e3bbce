"""Format a query tree as query text. Parsing the text returns the same tree."""

from datetime import date, timedelta

from mail.clock import rfc3339
from mail.query.fields import ANYWHERE, TEXT_FIELDS
from mail.query.tree import (
    And,
    Contains,
    DocumentLeaf,
    FactNode,
    HasAttachment,
    HasKeyword,
    HasState,
    HeaderContains,
    InFolder,
    LargerThan,
    MessageIn,
    Node,
    Not,
    Or,
    ReceivedBefore,
    RelatedTo,
    SentBefore,
    WordsNode,
)

_FIELD_NAMES = {field: name for name, field in TEXT_FIELDS.items()}
_EPOCH = date(1970, 1, 1)


def format_query(node: Node) -> str:
    """Return the query text of `node`, which is in normal form.

    Raises ValueError: a leaf has no query text (MessageIn, RelatedTo with a field). A text with
    quotation marks is parsed to another tree.
    """
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
    return _document(node) if isinstance(node, DocumentLeaf) else _fact(node)


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
        case HasKeyword(keyword):
            return f"keyword:{keyword}"
        case MessageIn():
            raise ValueError("the search language has no ids of messages")


def _document(leaf: DocumentLeaf) -> str:
    match leaf:
        case WordsNode():
            return _words(leaf)
        case Contains(text, None):
            return f'contains:"{text}"'
        case Contains(text, str(field)):
            return f'{_FIELD_NAMES[field]}:(contains:"{text}")'
        case HeaderContains(name, text):
            return f'header:"{name}:{text}"' if text else f'header:"{name}"'
        case RelatedTo(id_, None):
            return f'msgid:"{id_}"'
        case SentBefore(day):
            return f"sent_before:{_EPOCH + timedelta(days=day)}"
    raise ValueError(f"the search language has no text for {leaf}")


def _operand(node: Node) -> str:
    """Return the text of a part of another tree, in parentheses where they are needed."""
    needs_parentheses = isinstance(node, And | Or) and node.of
    return f"({format_query(node)})" if needs_parentheses else format_query(node)


def _words(words: WordsNode) -> str:
    field = f"{_FIELD_NAMES[words.field]}:" if words.field else ""
    return f'{field}"{" ".join(words.pieces)}"{"*" if words.prefix else ""}'

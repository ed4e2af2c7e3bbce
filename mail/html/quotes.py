"""Quotations in the HTML of mail: how mail programs mark the mail that an answer quotes."""

QUOTE_CLASS = "mail-quote"  # of marked quotations in sanitised HTML
CLASS_MAX_CHARS = 1_000  # read of one class attribute
_CLASSES = frozenset({
    QUOTE_CLASS, "gmail_quote", "gmail_quote_container", "yahoo_quoted", "protonmail_quote",
    "tutanota_quote", "zmail_extra", "moz-forward-container",
})  # fmt: skip
# Outlook puts an element with this id above the quoted mail, which is not in an element of its own.
HEADING_IDS = frozenset({"divRplyFwdMsg"})


def is_quote_class(value: str) -> bool:
    """Whether a class attribute marks an element as a quotation."""
    return not _CLASSES.isdisjoint(value[:CLASS_MAX_CHARS].split())


def is_quote(name: str, class_: str, id_: str) -> bool:
    """Whether an element is a quotation or the heading of a quotation."""
    return name == "blockquote" or is_quote_class(class_) or id_ in HEADING_IDS

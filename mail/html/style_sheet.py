"""Style attributes of sanitised HTML become classes of one style sheet.

A document with this sheet needs no `unsafe-inline` in its Content-Security-Policy: the hash of the
sheet is enough. Expects the output of the sanitizer, whose attributes are always in double quotes.
Linear time.
"""

import html as entities
import re

TAG = re.compile(r'<(/?)([a-z][a-z0-9]*)((?: [a-z-]+="[^"]*")*)>')
_ATTRIBUTE = re.compile(r' ([a-z-]+)="([^"]*)"')
_STYLED = re.compile(r'<[a-z][a-z0-9]*(?: [a-z-]+="[^"]*")*>')
_PAIRS = {")": "(", "]": "["}


def with_classes(clean: str) -> tuple[str, str]:
    """Return `clean` with a class for each distinct style attribute, and the rules of the classes.

    Dropped is a style with a comment, an unclosed string or an unclosed bracket: it would reach
    into the next rule.
    """
    classes: dict[str, str] = {}

    def styled(tag: re.Match[str]) -> str:
        return _with_class(tag[0], classes) if ' style="' in tag[0] else tag[0]

    html = _STYLED.sub(styled, clean)
    rules = (f".{name}{{{style}}}" for style, name in classes.items() if name)
    return html, "\n".join(rules)


def _with_class(tag: str, classes: dict[str, str]) -> str:
    names: list[str] = []
    kept = ""
    for attribute in _ATTRIBUTE.finditer(tag):
        name, value = attribute[1], attribute[2]
        if name == "style":
            names.append(_class_of(entities.unescape(value), classes))
        elif name == "class":
            names.append(value)
        else:
            kept += attribute[0]
    listed = " ".join(filter(None, names))
    class_ = f' class="{listed}"' if listed else ""
    end = next(index for index, character in enumerate(tag) if character in " >")
    return f"{tag[:end]}{class_}{kept}>"


def _class_of(style: str, classes: dict[str, str]) -> str:
    """Return the name of the class of `style`; "": the style is empty, or dropped."""
    if style not in classes:
        classes[style] = f"s{len(classes) + 1}" if style and _is_closed(style) else ""
    return classes[style]


def _is_closed(style: str) -> bool:
    """Whether each string and bracket in `style` ends, and it cannot end its rule or the sheet."""
    quote, opened = "", []
    if "/*" in style:
        return False
    for character in style:
        if character in "{}<>\\\n":
            return False
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "([":
            opened.append(character)
        elif character in _PAIRS and (not opened or opened.pop() != _PAIRS[character]):
            return False
    return not quote and not opened

"""xtext (RFC 3461 §4) and utf-8-addr-xtext (RFC 6533 §3): values of DSN parameters as ASCII."""

import re

_XCHAR = re.compile(r"[!-*,-<>-~]")  # but for "+" and "="
_HEX = re.compile(r"\+([0-9A-F]{2})")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_UTF8_CHAR = re.compile(r"\\x\{(10[0-9A-F]{4}|[0-9A-F]{2,5})\}")
UTF8_TYPE = "utf-8"


def encode(text: str) -> str:
    """The xtext of `text`. Raises ValueError: a character beyond ASCII."""
    if not text.isascii():
        msg = "xtext is ASCII"
        raise ValueError(msg)
    return "".join(
        character if _XCHAR.fullmatch(character) else f"+{ord(character):02X}" for character in text
    )


def decode(xtext: str) -> str:
    """The text of an xtext. Raises ValueError: not xtext."""
    if not _XTEXT.fullmatch(xtext):
        msg = "not an xtext"
        raise ValueError(msg)
    return _HEX.sub(lambda match: chr(int(match[1], 16)), xtext)


def encode_address(typed: str) -> str:
    r"""The value of ORCPT for `addr-type;address`, in ASCII also if the address is not.

    An address beyond ASCII gets the type utf-8, its characters as \x{HEX} (RFC 6533 §3).
    """
    kind, _, address = typed.partition(";")
    if address.isascii():
        return f"{kind};{encode(address)}"
    escaped = "".join(_escaped(character) for character in address)
    return f"{UTF8_TYPE};{escaped}"


def decode_address(value: str) -> str:
    """`addr-type;address` of a value of ORCPT. Raises ValueError: not addr-type;xtext."""
    kind, semicolon, encoded = value.partition(";")
    if not (semicolon and kind and encoded):
        msg = "ORCPT is addr-type;xtext"
        raise ValueError(msg)
    if kind.lower() != UTF8_TYPE:
        return f"{kind};{decode(encoded)}"
    address = _UTF8_CHAR.sub(lambda match: chr(int(match[1], 16)), encoded)
    if any("\ud800" <= character <= "\udfff" for character in address):
        msg = "ORCPT has a surrogate"
        raise ValueError(msg)
    return f"{kind};{address}"


def _escaped(character: str) -> str:
    if character.isascii() and character not in "+=\\" and character.isprintable():
        return character if character != " " else "\\x{20}"
    return f"\\x{{{ord(character):02X}}}"

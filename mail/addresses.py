"""Email addresses: syntax, and the normal form in which they are compared.

RFC 5321 §4.1.2 (Mailbox), RFC 6531 §3.3 (the same in UTF-8), RFC 5890 (domain names). Lengths are
counted in octets of UTF-8 (RFC 5321 §4.5.3.1; the limit of 254 octets is from its errata).
"""

import ipaddress
import re
import unicodedata

import idna

from mail.errors import BadAddress

LOCAL_MAX_BYTES = 64
DOMAIN_MAX_BYTES = 255
ADDRESS_MAX_BYTES = 254
POSTMASTER = "postmaster"
ROLES = frozenset({POSTMASTER, "abuse"})  # RFC 5321 §4.5.1, RFC 2142 §4

_DOT_STRING = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
    r"(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)*"
)
_QUOTED_STRING = re.compile(r'"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*"')
_QUOTED_PAIR = re.compile(r"\\(.)")
_LDH_LABEL = r"(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_LDH_LABELS = re.compile(rf"{_LDH_LABEL}(?:\.{_LDH_LABEL})*")
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zs", "Zl", "Zp"})


def normal_domain(name: str) -> str:
    """The domain name in lower-case A-labels; an address literal ([192.0.2.1]) in shortest form.

    All names of a domain have the same normal form; the root's dot (RFC 1034 §3.1) is removed.
    Raises BadAddress: not a domain name.
    """
    if name.startswith("["):
        return _normal_literal(name)
    name = name.removesuffix(".")
    lowered = name.lower()
    if _LDH_LABELS.fullmatch(lowered) and len(lowered) <= DOMAIN_MAX_BYTES:
        return lowered
    try:
        encoded = idna.encode(name, uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError, ValueError) as error:
        raise BadAddress("the domain is not a valid domain name") from error
    if encoded.endswith(".") or len(encoded) > DOMAIN_MAX_BYTES:
        raise BadAddress("the domain is not a valid domain name")
    return encoded


def split_address(address: str) -> tuple[str, str]:
    """Local part and domain as written.

    Raises BadAddress: not a Mailbox in the syntax of RFC 5321 §4.1.2.
    """
    local, at, domain = address.rpartition("@")
    if not at:
        raise BadAddress("an address has the form local-part@domain")
    _check_length("address", address, ADDRESS_MAX_BYTES)
    _check_local(local)
    normal_domain(domain)
    return local, domain


def normal_address(address: str) -> str:
    """The normal form in which addresses are compared: A-label domain, case-folded local part.

    RFC 5321 §2.4 leaves the meaning of local parts to their host. This host ignores case, Unicode
    composition (NFC) and unnecessary quotes. The function is idempotent.
    Raises BadAddress: not an address.
    """
    local, domain = split_address(address)
    normal = address_at(folded_local(local), normal_domain(domain))
    _check_length("address", normal, ADDRESS_MAX_BYTES)
    return normal


def folded_local(local: str) -> str:
    """The local part as it is compared: unquoted and case-folded."""
    return _folded(_unquoted(local))


def address_at(folded: str, domain_name: str) -> str:
    """The normal form of the address with a folded local part. Raises BadAddress: too long."""
    return f"{_quoted(folded)}@{domain_name}"


def is_role(forward_path: str) -> bool:
    """Whether the local part is postmaster or abuse, with or without +detail, at any domain."""
    base, _, _ = folded_local(forward_path.rpartition("@")[0] or forward_path).partition("+")
    return base in ROLES


def _normal_literal(literal: str) -> str:
    """The normal form of an address literal (RFC 5321 §4.1.3): [IPv4] or [IPv6:…]."""
    inner = literal[1:-1]
    if not literal.endswith("]"):
        raise BadAddress("the address literal lacks its closing bracket")
    tag, _, rest = inner.partition(":")
    try:
        if tag.lower() == "ipv6":
            return f"[IPv6:{ipaddress.IPv6Address(rest)}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError as error:
        raise BadAddress("the address literal is not an IP address") from error


def _check_local(local: str) -> None:
    _check_length("local part", local, LOCAL_MAX_BYTES)
    if not (_DOT_STRING.fullmatch(local) or _QUOTED_STRING.fullmatch(local)):
        raise BadAddress("the local part is neither a dot-string nor a quoted string")
    if not local.isascii() and any(
        ord(character) > 0x7F and unicodedata.category(character) in _REFUSED_CATEGORIES
        for character in local
    ):
        raise BadAddress("the local part has a space or control character")


def _check_length(what: str, text: str, limit_bytes: int) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > limit_bytes:
        raise BadAddress(f"the {what} is longer than {limit_bytes} octets")


def _unquoted(local: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", local[1:-1]) if local.startswith('"') else local


def _folded(local: str) -> str:
    """The local part for canonical caseless matching (Unicode §3.13, D145), composed."""
    if local.isascii():
        return local.lower()
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", local).casefold())
    return unicodedata.normalize("NFC", folded)


def _quoted(local: str) -> str:
    """The local part as it is if it is a dot-string, else as a quoted string."""
    written = local
    if not _DOT_STRING.fullmatch(local):
        written = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
    _check_length("local part", written, LOCAL_MAX_BYTES)
    return written

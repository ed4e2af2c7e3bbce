"""Addresses: their syntax, the one form under which they are equal, and their owner.

RFC 5321 §4.1.2 (Mailbox), RFC 6531 §3.3 (the same in UTF-8), RFC 5890 (domain names). Lengths are
counted in octets of UTF-8 (RFC 5321 §4.5.3.1; 254 for a whole address follows from its errata).
"""

import ipaddress
import re
import unicodedata

import idna

from mail.errors import BadAddress, NotFound, Refused
from mail.ports import Directory
from schemas.mail import Recipient
from schemas.records import Domain, User

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
    """The name in lower-case A-labels; an address literal ([192.0.2.1]) in its shortest form.

    Two names of one domain have the same normal form. BadAddress: not a domain name.
    """
    if name.startswith("["):
        return _normal_literal(name)
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
    """Local part and domain, as they are written. BadAddress: not a Mailbox of RFC 5321 §4.1.2."""
    local, at, domain = address.rpartition("@")
    if not at:
        raise BadAddress("an address has the form local-part@domain")
    _check_length("address", address, ADDRESS_MAX_BYTES)
    _check_local(local)
    normal_domain(domain)
    return local, domain


def normal_address(address: str) -> str:
    """The form under which addresses are compared: A-label domain, case-folded local part.

    RFC 5321 §2.4 lets the owner of a domain say what its local parts mean: here case, composition
    (NFC) and needless quotes say nothing. Applying it again changes nothing. BadAddress.
    """
    local, domain = split_address(address)
    normal = f"{_quoted(_folded(_unquoted(local)))}@{normal_domain(domain)}"
    _check_length("address", normal, ADDRESS_MAX_BYTES)
    return normal


def postmaster_setting(domain: Domain) -> str:
    """The directory's setting that holds the user id of who reads postmaster@ and abuse@."""
    return f"postmaster:{domain.domain_id}"


class DirectoryResolver:
    """The Resolver over a Directory: plus-addresses, postmaster, no relaying."""

    def __init__(self, directory: Directory, hostname: str) -> None:
        self._directory = directory
        self._hostname = hostname.lower()

    async def resolve(self, forward_path: str) -> Recipient:
        """The owner of a forward-path; a disabled user's mail is still taken.

        NotFound: no such user. Refused: not our domain. BadAddress.
        """
        if forward_path.lower() == POSTMASTER:
            return await self._host_postmaster(forward_path)
        local, domain_name = split_address(forward_path)
        name = normal_domain(domain_name)
        domain = await self._directory.domain(name)
        if domain is None and name == self._hostname and local.lower() == POSTMASTER:
            return await self._host_postmaster(forward_path)
        if domain is None:
            raise Refused("relay denied")
        user = await self._owner(local, domain)
        if user is None:
            raise NotFound("no such user here")
        return _recipient(forward_path, user)

    async def _owner(self, local: str, domain: Domain) -> User | None:
        """bob+x is bob's, unless somebody is called bob+x (RFC 5233 calls x the detail)."""
        whole = _folded(_unquoted(local))
        if whole in ROLES and (named := await self._named(domain)) is not None:
            return named
        base, plus, _ = whole.partition("+")
        for name in (whole, base) if plus and base else (whole,):
            user = await self._directory.user_by_address(f"{_quoted(name)}@{domain.name}")
            if user is not None:
                return user
        return None

    async def _named(self, domain: Domain) -> User | None:
        """Who was named to read what is for the domain's postmaster."""
        user_id = await self._directory.setting(postmaster_setting(domain))
        return None if user_id is None else await self._directory.user(user_id)

    async def _host_postmaster(self, forward_path: str) -> Recipient:
        """`postmaster` without a domain or at this host's own name (RFC 5321 §4.5.1).

        That is the postmaster of the domain in which the host's name lies, else of the first one.
        """
        domains = {domain.name: domain for domain in await self._directory.domains()}
        first = sorted(domains.values(), key=lambda domain: domain.created_at_ms)[:1]
        own = [domains[name] for name in _with_parents(self._hostname) if name in domains]
        for domain in (*own, *first):
            user = await self._owner(POSTMASTER, domain)
            if user is not None:
                return _recipient(forward_path, user)
        raise NotFound("no such user here")


def _recipient(forward_path: str, user: User) -> Recipient:
    return Recipient(address=forward_path, user_id=user.user_id, domain_id=user.domain_id)


def _with_parents(name: str) -> list[str]:
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _normal_literal(literal: str) -> str:
    """RFC 5321 §4.1.3: [IPv4] or [IPv6:…]."""
    inner = literal[1:-1]
    if not literal.endswith("]"):
        raise BadAddress("the address literal lacks its closing bracket")
    tag, _, rest = inner.partition(":")
    try:
        if tag.lower() == "ipv6":
            return f"[IPv6:{ipaddress.IPv6Address(rest)}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError as error:
        raise BadAddress("the address literal is no IP address") from error


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
    """Canonical caseless matching (Unicode §3.13, D145), in its composed form."""
    if local.isascii():
        return local.lower()
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", local).casefold())
    return unicodedata.normalize("NFC", folded)


def _quoted(local: str) -> str:
    """As it is, or in quotes when it is no dot-string."""
    written = local
    if not _DOT_STRING.fullmatch(local):
        written = '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'
    _check_length("local part", written, LOCAL_MAX_BYTES)
    return written

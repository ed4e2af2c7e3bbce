"""MxResolver: the mail hosts of a domain, with the addresses to connect to (RFC 5321 §5.1)."""

from dataclasses import dataclass
from typing import Protocol

MAIL_HOSTS_MAX = 20  # of one domain; those of the lowest preference value are kept
ADDRESSES_MAX = 10  # of one mail host


@dataclass(frozen=True, slots=True, kw_only=True)
class MailHost:
    """A mail host and its IP addresses in the order of attempts, without hosts not to connect to.

    `name` is the name in the MX record in lower-case A-labels, with which a certificate is
    compared; for an address literal, the address.
    """

    name: str
    addresses: tuple[str, ...]
    preference: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unroutable:
    """Why a domain has no mail host to connect to. `permanent`: the mail fails, else it waits."""

    permanent: bool
    status: str  # enhanced status code (RFC 3463), 4.y.z or 5.y.z
    text: str  # one printable line


class MxResolver(Protocol):
    """Look-ups of mail hosts. Answers may be cached for their time to live, failures shortly.

    Only addresses that a connection may be made to are returned: global unicast, and those of the
    networks that the operator allows. Callers connect to these addresses and resolve no name again.
    """

    async def mail_hosts(self, domain: str) -> tuple[MailHost, ...] | Unroutable:
        """Return the mail hosts of `domain` by preference, in random order among equals.

        `domain` is a domain name with U-labels or A-labels, or an address literal. A domain
        without MX records is its own mail host. This host and those of equal or higher preference
        values are left out (RFC 5321 §5.1). At least one host, each with at least one address.
        """
        ...

    async def host(self, name: str) -> MailHost | Unroutable:
        """Return one host with its addresses; MX records are not looked at. For a smarthost."""
        ...

"""Addresses in the body of a request; a fault names its place."""

from collections.abc import Sequence

from api.composing.requests import AddressInput, AddressText
from mail.addresses import normal_address
from mail.composing.address_input import checked_address, parse_address
from mail.composing.faults import ComposingFault
from mail.composing.header_fields import written_address
from mail.composing.outgoing_mail import RECIPIENTS_MAX, OutgoingMail
from mail.errors import BadAddress
from schemas.mail import EmailAddress


def address_of(place: str, given: AddressText) -> EmailAddress:
    """Return name and address. Raises ComposingFault: it is not exactly one address."""
    try:
        if isinstance(given, AddressInput):
            return checked_address(given.name, given.address.strip())
        return parse_address(given)
    except BadAddress as error:
        inner = ".address" if isinstance(given, AddressInput) else ""
        raise ComposingFault(f"{place}{inner}", f"{error.detail}.") from error


def addresses_of(name: str, given: Sequence[AddressText]) -> tuple[EmailAddress, ...]:
    """Return the addresses of the field `name`. Raises ComposingFault."""
    if len(given) > RECIPIENTS_MAX:
        raise ComposingFault(name, f"At most {RECIPIENTS_MAX} addresses.")
    return tuple(address_of(f"{name}[{number}]", one) for number, one in enumerate(given))


def forward_paths(mail: OutgoingMail) -> tuple[str, ...]:
    """Return the addresses of all recipients, each once; local parts as they were written.

    Two addresses are the same if this host would compare them as equal, so that a recipient gets
    one copy.
    """
    paths: dict[str, str] = {}
    for recipient in mail.recipients:
        paths.setdefault(normal_address(recipient.address), written_address(recipient.address))
    return tuple(paths.values())

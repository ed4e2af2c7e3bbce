"""Bounced recipients: what notifications of other servers say of the recipients of a submission.

A server names the address that it got (Final-Recipient) and, if it knows it, the address to which
the sender sent the mail (Original-Recipient, RFC 3464 §2.3). Addresses that the submission does not
have are ignored: a server that got the mail can report what it likes.
"""

from collections.abc import Iterable

from mail.addresses import normal_address
from mail.errors import BadAddress
from mail.sending.incoming_status import IncomingRecipient
from schemas.events.sending import ReportBounce
from schemas.submissions import (
    DEFERRED,
    FAILED,
    BouncedRecipient,
    RecipientResult,
    RequestedRecipient,
    Submission,
)

DETAIL_MAX_CHARS = 500
_UNKNOWN_CODE = {"failed": "5.0.0", "delayed": "4.0.0"}  # RFC 3463 §3.1


def bounced_recipients(recipients: Iterable[IncomingRecipient]) -> tuple[BouncedRecipient, ...]:
    """The recipients that failed or are late; a success says no more than the 250 before it."""
    return tuple(
        BouncedRecipient(
            action=each.action,
            final=each.final,
            original=each.original,
            code=each.status,
            detail=each.diagnostic[:DETAIL_MAX_CHARS],
        )
        for each in recipients
        if each.action in {"failed", "delayed"}
    )


def bounce_results(row: Submission, event: ReportBounce) -> tuple[RecipientResult, ...]:
    """The outcome of each recipient of the submission that the notification names.

    Of several statements on one recipient, such as those on the members of a list, a failure wins,
    then the last one.
    """
    addresses = _known(row.mail.recipients)
    results: dict[str, RecipientResult] = {}
    for each in sorted(event.recipients, key=lambda each: each.action == "failed"):
        address = addresses.get(_normal(each.original)) or addresses.get(_normal(each.final))
        if address:
            results[address] = _result(address, each, event)
    return tuple(results.values())


def _known(recipients: Iterable[RequestedRecipient]) -> dict[str, str]:
    """The recipients' addresses, by what a notification may call them, in normal form."""
    recipients = tuple(recipients)
    originals = {_normal(each.original.partition(";")[2]): each.address for each in recipients}
    own = {_normal(each.address): each.address for each in recipients}
    return {name: address for name, address in (originals | own).items() if name}


def _normal(address: str) -> str:
    """The normal form; "": not an address."""
    try:
        return normal_address(address)
    except BadAddress:
        return ""


def _result(address: str, bounced: BouncedRecipient, event: ReportBounce) -> RecipientResult:
    has_code = bounced.code.startswith(("4.", "5."))
    return RecipientResult(
        address=address,
        status=FAILED if bounced.action == "failed" else DEFERRED,
        code=bounced.code if has_code else _UNKNOWN_CODE[bounced.action],
        detail=bounced.detail or "the other server gave no reason",
        server=event.server,
        at_ms=event.at_ms,
        is_bounce=True,
    )

"""The sender of a mail: an address of the author, with name and Reply-To of an identity."""

from dataclasses import dataclass

from api.composing.addresses import address_of
from api.composing.author import Author
from api.composing.requests import MailInput
from api.rest.settings.identities import default_of, identities_of
from mail.composing.faults import ComposingFault
from mail.directory.own_addresses import is_own, own_addresses
from schemas.mail import EmailAddress
from schemas.user_settings import SenderIdentity, UserSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Name and address in From, and the addresses in Reply-To unless the request has some."""

    address: EmailAddress
    reply_to: tuple[EmailAddress, ...] = ()


async def sender_of(author: Author, body: MailInput, settings: UserSettings) -> Sender:
    """Return the sender of the mail.

    Raises ComposingFault: there is no such identity, or its address or `from` is not an address of
    the author alone, such as that of a group.
    """
    identity = _identity(author, body, settings)
    reply_to = (EmailAddress("", identity.reply_to),) if identity.reply_to else ()
    if body.sender is None:
        await _check_own(author, identity.address, "identity_id")
        return Sender(address=EmailAddress(identity.name, identity.address), reply_to=reply_to)
    address = address_of("from", body.sender)
    await _check_own(author, address.address, "from.address")
    return Sender(address=address, reply_to=reply_to if body.identity_id else ())


def _identity(author: Author, body: MailInput, settings: UserSettings) -> SenderIdentity:
    identities = identities_of(settings, author.user)
    if body.identity_id is None:
        return default_of(identities)
    for identity in identities:
        if identity.id == body.identity_id:
            return identity
    raise ComposingFault("identity_id", "There is no such identity.")


async def _check_own(author: Author, address: str, place: str) -> None:
    addresses = author.context.ports.addresses
    own = await own_addresses(addresses, author.user)
    if not await is_own(addresses, address, own):
        raise ComposingFault(place, f"One of your addresses: {', '.join(own)}.")

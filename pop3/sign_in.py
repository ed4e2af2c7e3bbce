"""Sign-in: credentials in, an open maildrop out."""

from edge.sign_in.authenticator import SignedIn, WrongCredentials
from edge.sign_in.login_client import LoginClient
from edge.sign_in.login_limiter import LoginRateLimited
from edge.sign_in.sasl import Credentials
from mail.errors import Transient
from pop3 import replies
from pop3.context import Pop3Context
from pop3.maildrop import Maildrop
from pop3.replies import Pop3Refusal, login_delay
from schemas.ids import UserId
from schemas.mailbox import INBOX

PROTOCOL = "pop3"


async def authenticated(site: Pop3Context, credentials: Credentials, peer: str) -> SignedIn:
    """The user of `credentials`. Raises Pop3Refusal."""
    client = LoginClient(protocol=PROTOCOL, peer=peer)
    try:
        return await site.authenticator.authenticate(
            credentials.address, credentials.password, client, scope="read"
        )
    except WrongCredentials:
        raise Pop3Refusal(replies.WRONG_CREDENTIALS) from None
    except LoginRateLimited as limited:
        raise Pop3Refusal(login_delay(limited.wait_ms)) from None
    except Transient:
        raise Pop3Refusal(replies.UNAVAILABLE) from None


async def open_maildrop(site: Pop3Context, signed_in: SignedIn) -> Maildrop:
    """Take the lease of the user's maildrop and read it; `close_maildrop` must follow.

    Raises Pop3Refusal: another session has it, or it cannot be read now.
    """
    user_id = signed_in.user.user_id
    try:
        is_taken = await site.leases.take(user_id)
    except Transient:
        raise Pop3Refusal(replies.UNAVAILABLE) from None
    if not is_taken:
        raise Pop3Refusal(replies.IN_USE)
    try:
        maildrop = await _read(site, user_id)
    except BaseException:
        site.leases.release(user_id)
        raise
    site.stats.maildrops += 1
    site.stats.held_messages += len(maildrop)
    return maildrop


async def _read(site: Pop3Context, user_id: UserId) -> Maildrop:
    """The user's maildrop. Raises Pop3Refusal: unavailable, or no memory for its view."""
    try:
        maildrop = Maildrop.of(await site.ports.store.slots(user_id, INBOX))
    except Transient:
        raise Pop3Refusal(replies.UNAVAILABLE) from None
    if site.stats.held_messages + len(maildrop) > site.config.messages_max:
        raise Pop3Refusal(replies.UNAVAILABLE)
    return maildrop


def close_maildrop(site: Pop3Context, signed_in: SignedIn, maildrop: Maildrop) -> None:
    """Release the maildrop."""
    site.stats.maildrops -= 1
    site.stats.held_messages -= len(maildrop)
    site.leases.release(signed_in.user.user_id)

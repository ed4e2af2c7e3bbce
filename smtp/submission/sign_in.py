"""AUTH (RFC 4954): the SASL dialogue and its replies. Lines of the dialogue are never logged."""

from collections.abc import Awaitable, Callable

from edge.sign_in import sasl
from edge.sign_in.authenticator import Authenticator, SignedIn, WrongCredentials
from edge.sign_in.login_client import LoginClient
from edge.sign_in.login_limiter import LoginRateLimited
from edge.sign_in.sasl import Challenge, Credentials, SaslError, SaslFault
from mail.errors import Transient
from smtp.server.replies import Rejection
from smtp.submission import replies

PROTOCOL = "submission"
_REPLIES = {
    SaslFault.UNKNOWN_MECHANISM: replies.NO_MECHANISM,
    SaslFault.CANCELLED: replies.CANCELLED,
    SaslFault.MALFORMED: replies.MALFORMED,
    SaslFault.TOO_LONG: replies.TOO_LONG,
    SaslFault.OTHER_IDENTITY: replies.OTHER_IDENTITY,
}
Ask = Callable[[str], Awaitable[bytes | None]]  # a challenge; the client's line, None: too long


async def credentials_of(arg: str | None, ask: Ask) -> Credentials:
    """The credentials of `AUTH mechanism [initial-response]`. Raises Rejection."""
    words = (arg or "").split()
    if not 1 <= len(words) <= 2:
        raise Rejection("501 5.5.4 syntax: AUTH mechanism [initial-response]")
    try:
        step = sasl.begin(words[0], words[1].encode() if words[1:] else None)
        while isinstance(step, Challenge):
            step = step.respond(_response(await ask(f"334 {step.text}")))
    except SaslError as error:
        raise Rejection(_REPLIES[error.fault]) from None
    return step


def _response(line: bytes | None) -> bytes:
    if line is None:
        raise SaslError(SaslFault.TOO_LONG)
    return line.removesuffix(b"\n").removesuffix(b"\r")


async def signed_in(authenticator: Authenticator, credentials: Credentials, peer: str) -> SignedIn:
    """The user of `credentials`, with the account's password or one of scope `send`.

    Raises Rejection.
    """
    try:
        return await authenticator.authenticate(
            credentials.address,
            credentials.password,
            LoginClient(protocol=PROTOCOL, peer=peer),
            scope="send",
        )
    except WrongCredentials:
        raise Rejection(replies.WRONG_CREDENTIALS) from None
    except LoginRateLimited as limited:
        raise Rejection(replies.login_delay(limited.wait_ms)) from None
    except Transient:
        raise Rejection(replies.SIGN_IN_UNAVAILABLE) from None

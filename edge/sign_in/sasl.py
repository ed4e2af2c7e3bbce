"""SASL exchanges (RFC 4422) for PLAIN (RFC 4616) and LOGIN, as pure state machines.

An exchange turns base64 lines of a client into Credentials, which edge/sign_in/authenticator.py
checks. A server passes lines without CRLF, and sends each challenge behind the prefix of its
protocol: `334 ` in SMTP (RFC 4954), `+ ` in POP3 (RFC 5034) and IMAP (RFC 9051).
"""

import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from mail.addresses import ADDRESS_MAX_BYTES
from mail.directory.passwords import PASSWORD_MAX_BYTES
from mail.errors import Refused

RESPONSE_MAX_CHARS = 12_288  # of one base64 line without CRLF (RFC 4954 §4)
CANCEL = b"*"
_EMPTY_INITIAL_RESPONSE = b"="  # RFC 4954 §4, RFC 5034 §4, RFC 9051 §6.2.2


class SaslFault(Enum):
    """Why an exchange failed. The message is the text of the reply."""

    UNKNOWN_MECHANISM = "unknown authentication mechanism"
    CANCELLED = "authentication cancelled"
    MALFORMED = "malformed authentication response"
    TOO_LONG = "authentication response too long"
    OTHER_IDENTITY = "the authorization identity is not the authentication identity"


class SaslError(Refused):
    """The exchange failed before a password was checked; no attempt is counted."""

    def __init__(self, fault: SaslFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Credentials:
    """The result of an exchange: the address and the password, unchecked."""

    address: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A state that waits for a response of the client."""

    data: bytes
    _next: Callable[[bytes], "Challenge | Credentials"] = field(repr=False)

    @property
    def text(self) -> str:
        """The challenge in base64, "" for an empty challenge."""
        return binascii.b2a_base64(self.data, newline=False).decode("ascii")

    def respond(self, line: bytes) -> "Challenge | Credentials":
        """The next step, after the client's base64 `line`. Raises SaslError."""
        if line == CANCEL:
            raise SaslError(SaslFault.CANCELLED)
        return self._next(_decode(line))

    def begin_with(self, initial_response: bytes) -> "Challenge | Credentials":
        """The next step, after a response that came with the command; `=` is an empty response.

        Raises SaslError.
        """
        empty = initial_response == _EMPTY_INITIAL_RESPONSE
        return self._next(b"" if empty else _decode(initial_response))


def begin(mechanism: str, initial_response: bytes | None = None) -> Challenge | Credentials:
    """The first step of an exchange by `mechanism`, a name in any case.

    `initial_response` is the base64 word behind the mechanism; None without it. Raises SaslError.
    """
    challenge = _FIRST_CHALLENGES.get(mechanism.upper())
    if challenge is None:
        raise SaslError(SaslFault.UNKNOWN_MECHANISM)
    return challenge if initial_response is None else challenge.begin_with(initial_response)


def _decode(line: bytes) -> bytes:
    """The octets of a base64 line (RFC 4648 §4): no other characters, padding at the end alone."""
    if len(line) > RESPONSE_MAX_CHARS:
        raise SaslError(SaslFault.TOO_LONG)
    try:
        return binascii.a2b_base64(line, strict_mode=True)
    except binascii.Error:
        raise SaslError(SaslFault.MALFORMED) from None


def _plain(response: bytes) -> Credentials:
    """[authzid] NUL authcid NUL passwd (RFC 4616 §2)."""
    fields = response.split(b"\0")
    if len(fields) != 3:
        raise SaslError(SaslFault.MALFORMED)
    authzid, authcid, passwd = fields
    credentials = _credentials(authcid, passwd)
    if authzid and authzid != authcid:
        raise SaslError(SaslFault.OTHER_IDENTITY)
    return credentials


def _login_user_name(user_name: bytes) -> Challenge:
    _text(user_name, ADDRESS_MAX_BYTES)
    return Challenge(b"Password:", partial(_credentials, user_name))


def _credentials(address: bytes, password: bytes) -> Credentials:
    return Credentials(_text(address, ADDRESS_MAX_BYTES), _text(password, PASSWORD_MAX_BYTES))


def _text(octets: bytes, max_bytes: int) -> str:
    """UTF-8 text of 1 to `max_bytes` octets without NUL."""
    if len(octets) > max_bytes:
        raise SaslError(SaslFault.TOO_LONG)
    if not octets or b"\0" in octets:
        raise SaslError(SaslFault.MALFORMED)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise SaslError(SaslFault.MALFORMED) from None


# LOGIN has no RFC; its challenges and its initial response are those of draft-murchison-sasl-login
# as Outlook and Thunderbird use them.
_FIRST_CHALLENGES = {
    "PLAIN": Challenge(b"", _plain),
    "LOGIN": Challenge(b"Username:", _login_user_name),
}
MECHANISMS = tuple(_FIRST_CHALLENGES)

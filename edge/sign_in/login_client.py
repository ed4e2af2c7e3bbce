"""The program that signs in, and the scope that it asks for."""

from dataclasses import dataclass
from typing import Literal

USER_AGENT_MAX_CHARS = 200
# account: a session of the web page or of the API, by the account's password only.
# read, send: one connection, by the account's password or an application password of that scope.
SignInScope = Literal["account", "read", "send"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginClient:
    """The program that signs in."""

    protocol: str  # http, submission, pop3, imap: successful sign-ins are limited for each
    peer: str  # IP address, as edge/trusted_networks.plain_address writes it
    user_agent: str = ""  # from `clean_user_agent`; shown to the user
    device: str = ""  # SHA-256 of the device's token; "": the protocol has none


def clean_user_agent(text: str) -> str:
    """The printable characters among the first USER_AGENT_MAX_CHARS of `text`."""
    return "".join(char for char in text[:USER_AGENT_MAX_CHARS] if char.isprintable())

"""Replies of the submission server beyond those of smtp/server/replies.py."""

NEEDS_TLS = "530 5.7.0 begin TLS first (STARTTLS)"
NEEDS_SIGN_IN = "530 5.7.0 sign in first (AUTH)"
AUTH_NEEDS_TLS = "538 5.7.11 passwords are taken over TLS only: STARTTLS first"
NO_MECHANISM = "504 5.5.4 unknown authentication mechanism"
CANCELLED = "501 5.7.0 authentication cancelled"
MALFORMED = "501 5.5.2 malformed authentication response"
TOO_LONG = "500 5.5.6 authentication response too long"
OTHER_IDENTITY = "535 5.7.8 the authorization identity is not the authentication identity"
WRONG_CREDENTIALS = "535 5.7.8 address or password is wrong"
SIGN_IN_UNAVAILABLE = "454 4.7.0 cannot check passwords now, try again later"
SIGNED_IN = "235 2.7.0 signed in"
TOO_MANY_FAILURES = "421 4.7.0 too many failures to sign in"
NO_LONGER_VALID = "421 4.7.0 the password is no longer valid"

TOO_MANY_REFUSED = "421 4.7.0 too many recipients that do not exist"

NOT_OWN_SENDER = "550 5.7.1 MAIL FROM is not an address of yours"
RELAY_OFF = "550 5.7.1 this server does not send to other servers (POSTRIVER_RELAY=off)"
OVER_QUOTA = "552 5.2.2 your mailbox has no room for the copy in Sent: delete messages first"


def rate_limited(retry_after_s: int) -> str:
    """The reply to a user at a limit of sending."""
    return f"450 4.7.1 you reached a limit of sending, try again in {retry_after_s} seconds"


def login_delay(wait_ms: int) -> str:
    """The reply to a sign-in beyond the limit of attempts."""
    return f"454 4.7.0 too many attempts to sign in, try again in {-(-wait_ms // 1000)} seconds"

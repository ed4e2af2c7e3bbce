"""Replies (RFC 1939 §3) with response codes (RFC 2449 §8, RFC 3206)."""

GOODBYE = "+OK bye"
NOT_HTTP = "-ERR this is POP3"
BROKEN = "-ERR [SYS/TEMP] internal error"
TOO_MANY_CONNECTIONS = "-ERR [SYS/TEMP] too many connections, try again later"
STOPPING = "-ERR [SYS/TEMP] the service is shutting down"
TOO_MANY_ERRORS = "-ERR too many bad commands"
TOO_MANY_FAILURES = "-ERR [AUTH] too many failed sign-ins"
TOO_MUCH_CHATTER = "-ERR too many commands without a message"

NOT_RECOGNIZED = "-ERR command not recognized"
NOT_NOW = "-ERR command not valid in this state"
BAD_LINE = "-ERR a command is one line of UTF-8 that ends with CR LF"
LINE_TOO_LONG = "-ERR command line too long"
SIGN_IN_FIRST = "-ERR sign in first"
USER_FIRST = "-ERR USER comes before PASS"
NEEDS_TLS = "-ERR passwords are accepted over TLS only, use STLS"
NO_TLS = "-ERR TLS is not available or already in use"

WRONG_CREDENTIALS = "-ERR [AUTH] address or password is wrong"
IN_USE = "-ERR [IN-USE] another session has opened this mailbox"
UNAVAILABLE = "-ERR [SYS/TEMP] not available now, try again later"
NO_MESSAGE = "-ERR no such message"
DELETED = "-ERR the message is marked as deleted"
GONE = "-ERR the message was deleted by another session"
NOT_REMOVED = "-ERR [SYS/TEMP] some deleted messages not removed"


class Pop3Refusal(Exception):
    """The command fails with `reply` and has no other effect."""

    def __init__(self, reply: str, *, is_bad: bool = False) -> None:
        super().__init__(reply)
        self.reply = reply
        self.is_bad = is_bad  # the client broke the syntax or the sequence of POP3


def bad_command(reply: str) -> Pop3Refusal:
    """The refusal of a command that counts towards `bad_commands_max`."""
    return Pop3Refusal(reply, is_bad=True)


def login_delay(wait_ms: int) -> str:
    """The reply to a sign-in beyond a limit of edge/sign_in/login_limiter.py (RFC 2449 §8.1.1)."""
    return f"-ERR [LOGIN-DELAY] too many attempts, try again in {-(-wait_ms // 1000)} s"


def code_of(reply: str) -> str:
    """The response code of an `-ERR` reply, such as `IN-USE`; "" without a code."""
    text = reply.removeprefix("-ERR ")
    return text[1 : text.index("]")] if text.startswith("[") else ""

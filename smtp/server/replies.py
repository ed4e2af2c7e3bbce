"""Replies (RFC 5321 §4.2) with enhanced status codes (RFC 2034, RFC 3463)."""

GOODBYE = "421 4.3.2 the service is shutting down"
TOO_MANY_CONNECTIONS = "421 4.7.0 too many connections, try again later"
TOO_MANY_ERRORS = "421 4.7.0 too many bad commands"
TOO_MUCH_CHATTER = "421 4.7.0 too many commands without a mail"
TOO_MANY_UNKNOWN = "421 4.7.0 too many unknown recipients, try again later"
NOT_HTTP = "421 4.7.0 this is SMTP"
TOO_SLOW = "421 4.4.2 the mail comes too slowly"
GIVE_WAY = "421 4.3.2 too slow while others wait, try again later"
IDLE = "421 4.4.2 idle for too long"
BROKEN = "421 4.3.0 internal error"
BROKEN_CHUNK = "421 4.3.0 where the next command begins is not known"
CUT = "421 4.3.0 far too much data"

TRY_LATER = "451 4.3.0 cannot take the mail now, try again later"
BUSY = "451 4.3.2 too many mails under way, try again later"
SHARE_USED = "451 4.7.1 your share is used while other mail waits, try again later"
NO_STORAGE = "452 4.3.1 insufficient storage, try again later"
MAILBOX_FULL = "452 4.2.2 the mailbox is full, try again later"
TOO_MANY_RECIPIENTS = "452 4.5.3 too many recipients"

NOT_RECOGNIZED = "500 5.5.1 command not recognized"
LINE_TOO_LONG = "500 5.5.2 command line too long"
BAD_LINE = "500 5.5.2 a command is one line of UTF-8 that ends with CR LF"
NOT_IMPLEMENTED = "502 5.5.1 command not implemented"
BAD_SEQUENCE = "503 5.5.1 bad sequence of commands"
NO_RECIPIENT = "554 5.5.1 no valid recipient"

UNKNOWN_USER = "550 5.1.1 no such user here"
RELAY_DENIED = "550 5.7.1 relay denied, not a domain of ours"
BAD_RECIPIENT = "553 5.1.3 not an address that we take"
BAD_SENDER = "553 5.1.7 not an address that we take"
NEEDS_SMTPUTF8 = "553 5.6.7 an address beyond ASCII needs SMTPUTF8"
UNKNOWN_PARAMETER = "555 5.5.4 parameter not recognized"

_DEFAULT_CODES = {
    "252": "2.0.0",
    "421": "4.3.0",
    "454": "4.7.0",
    "500": "5.5.2",
    "501": "5.5.4",
    "502": "5.5.1",
    "503": "5.5.1",
    "504": "5.5.4",
    "552": "5.3.4",
    "553": "5.1.3",
    "555": "5.5.4",
}


class Rejection(Exception):
    """The command fails with `reply` and has no other effect."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


def too_big(max_bytes: int) -> str:
    """The reply to MAIL with too large a SIZE (RFC 1870 §6.1), or else to the final dot."""
    return f"552 5.3.4 message larger than {max_bytes} bytes"


def with_code(reply: str) -> str:
    """`reply` with an enhanced code: its own, or the default of its basic code.

    Replies of aiosmtpd have no enhanced code. 3yz replies never have one (RFC 2034 §4).
    """
    if reply[0] == "3" or reply[5:6] == ".":
        return reply
    basic = reply[:3]
    code = _DEFAULT_CODES.get(basic, f"{basic[0]}.0.0")
    return f"{basic} {code} {reply[4:]}"


def is_bad_command(reply: str) -> bool:
    """Whether the reply is of 500 to 504: the client broke the syntax or the sequence of SMTP."""
    return reply[:2] == "50"

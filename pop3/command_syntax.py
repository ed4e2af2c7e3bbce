"""Syntax of command lines (RFC 1939 §3, RFC 2449 §4, RFC 5034 §4, RFC 6856 §2); pure.

Every function raises Pop3Refusal with the reply to the client.
"""

import re
from dataclasses import dataclass, field

from pop3 import replies
from pop3.replies import bad_command

LINE_MAX_BYTES = 255  # RFC 2449 §4, with its CRLF
_LINE_MAX_BYTES_OF = {  # a password has up to 1,024 bytes, and its base64 half as many again
    "USER": 1_024,
    "PASS": 2_048,
    "AUTH": 4_096,
}
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NUMBER_MAX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Pop3Command:
    """A verb in upper case, and the text behind the first space as it came."""

    verb: str
    text: str = field(default="", repr=False)

    @property
    def words(self) -> list[str]:
        """The arguments; only spaces separate them."""
        return [word for word in self.text.split(" ") if word]


def parse_command(line: bytes | None) -> Pop3Command:
    """The command in `line`, which includes its line end; None: longer than the read buffer."""
    if line is None:
        raise bad_command(replies.LINE_TOO_LONG)
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise bad_command(replies.BAD_LINE) from None
    if not text.endswith("\r\n") or _CONTROL.search(text, 0, len(text) - 2):
        raise bad_command(replies.BAD_LINE)
    verb, _, rest = text[:-2].partition(" ")
    verb = verb.upper()
    if len(line) > _LINE_MAX_BYTES_OF.get(verb, LINE_MAX_BYTES):
        raise bad_command(replies.LINE_TOO_LONG)
    return Pop3Command(verb, rest)


def no_argument(command: Pop3Command) -> None:
    """Check that the command has no argument."""
    if command.words:
        raise bad_command(f"-ERR syntax: {command.verb}")


def optional_number(command: Pop3Command) -> int | None:
    """The message number of LIST and UIDL; None without an argument."""
    words = command.words
    if len(words) > 1:
        raise bad_command(f"-ERR syntax: {command.verb} [message]")
    return _number(command, words[0]) if words else None


def message_number(command: Pop3Command) -> int:
    """The message number of RETR and DELE."""
    words = command.words
    if len(words) != 1:
        raise bad_command(f"-ERR syntax: {command.verb} message")
    return _number(command, words[0])


def number_and_lines(command: Pop3Command) -> tuple[int, int]:
    """The message number and the number of body lines of TOP."""
    words = command.words
    if len(words) != 2:
        raise bad_command(f"-ERR syntax: {command.verb} message lines")
    number, lines = (_number(command, word) for word in words)
    return number, lines


def _number(command: Pop3Command, word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= _NUMBER_MAX_DIGITS):
        raise bad_command(f"-ERR {command.verb} takes numbers of up to {_NUMBER_MAX_DIGITS} digits")
    return int(word)

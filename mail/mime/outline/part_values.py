"""Values of a part's own header fields, as sent (RFC 2045, RFC 2183, RFC 2557, RFC 3282).

Never raises. Limits: VALUE_MAX_BYTES of a value, PARAMETERS_MAX parameters and
PARAMETERS_MAX_BYTES of a field; a part with a longer value is `cut`. Linear time.
"""

from dataclasses import dataclass

from mail.mime.header_fields import Header
from mail.mime.parameters import split_parameters

VALUE_MAX_BYTES = 1_024
PARAMETERS_MAX = 100
PARAMETERS_MAX_BYTES = 8 * 1024
TOKEN_MAX_CHARS = 64
Parameters = tuple[tuple[str, bytes], ...]


@dataclass(slots=True)
class PartValues:
    """Reads values from one header; `cut`: a value was longer than its limit."""

    header: Header
    cut: bool = False

    def octets(self, name: str) -> bytes:
        """Return the value of the first field called `name`; b"": there is no such field."""
        values = self.header.all(name)
        return self._kept(values[0]) if values else b""

    def parameterized(self, name: str) -> tuple[str, Parameters]:
        """Return the leading token and the parameters of the first field called `name`."""
        values = self.header.all(name)
        if not values:
            return "", ()
        text = values[0].decode("latin-1")  # keeps each octet
        token, pairs = split_parameters(text)
        kept: list[tuple[str, bytes]] = []
        left_bytes = PARAMETERS_MAX_BYTES
        for parameter, sent in pairs:
            left_bytes -= len(parameter) + len(sent)
            if left_bytes < 0 or len(kept) == PARAMETERS_MAX:
                self.cut = True
                break
            kept.append((parameter, sent.encode("latin-1")))
        return token[:TOKEN_MAX_CHARS], tuple(kept)

    def _kept(self, value: bytes) -> bytes:
        self.cut |= len(value) > VALUE_MAX_BYTES
        return value[:VALUE_MAX_BYTES]

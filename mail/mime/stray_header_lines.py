"""Lines within a header that are neither field nor continuation (RFC 5322 §2.2).

Left there by mailbox exporters (`From ` and `>From ` lines), by gateways that unfold, by scanners.
Only an empty line ends a header, so fields behind such a line still count. Without an empty line
the body begins at the first such line. All work is linear in the lines.
"""

import re
from dataclasses import dataclass, field

Fields = list[tuple[str, bytes]]

TRACES_MAX = 200  # fields before a mailbox file's separator
_MBOX_LINE = re.compile(rb">*From ")
_TRACE = frozenset({"return-path", "received", "delivered-to", "x-original-to"})
# What a continuation without its white space looks like: a parameter behind `;`, an address
# behind `,`.
_PARAMETER = re.compile(rb"[^\s=:;,\"]{1,64}[ \t]*=")
_ADDRESS = re.compile(rb"[^:@]{0,998}@")


@dataclass(slots=True)
class StrayLines:
    """The junk lines of one header; after `settle`, where the body begins."""

    body_start: int = -1
    _first: int = -1  # offset of the first line
    _fields_before: int = 0  # it
    _run: int = -1  # offset of the first line behind the last field
    _fields_before_run: int = 0
    _traces: int = 0  # fields that are known to be of the trace
    _types: int = 0  # fields whose type has been looked at
    _is_multipart: bool = False
    _folds: list[bytes] = field(default_factory=list)  # they continue the last of `_fields_folded`
    _fields_folded: int = 0

    def take(self, line: bytes, at: int, fields: Fields) -> bool:
        """Count `line`, which stands at `at`. False: the body begins with it, a delimiter."""
        if self._is_mark(line, fields) or self._continues(line.strip(), fields):
            return True
        if self._first < 0:
            self._first, self._fields_before = at, len(fields)
        if self._run < 0 or len(fields) > self._fields_before_run:
            self._run, self._fields_before_run = at, len(fields)
        return not (line.startswith(b"--") and self._has_parts(fields))

    def settle(self, fields: Fields, end: int | None) -> bool:
        """Drop fields that are text, complete others. `end`: where the body begins if all is well.

        False: no line was junk after all.
        """
        self._join(fields)
        if self._first < 0:
            return False
        if end is None:
            del fields[self._fields_before :]
            self.body_start = self._first
        else:
            self.body_start = self._run if len(fields) == self._fields_before_run else end
        return True

    def _is_mark(self, line: bytes, fields: Fields) -> bool:
        """A mailbox file's separator, first or behind the trace alone."""
        if self._first >= 0 or not _MBOX_LINE.match(line) or len(fields) > TRACES_MAX:
            return False
        while self._traces < len(fields) and fields[self._traces][0].lower() in _TRACE:
            self._traces += 1
        return self._traces == len(fields)

    def _continues(self, line: bytes, fields: Fields) -> bool:
        """A continuation that lost its white space. It is joined in `settle`."""
        if not fields or len(fields) == self._fields_before_run:
            return False
        if len(fields) != self._fields_folded:
            self._join(fields)
        before = self._folds[-1] if self._folds else fields[-1][1]
        is_next = before.endswith(b";") and _PARAMETER.match(line)
        if not is_next and not (before.endswith(b",") and _ADDRESS.match(line)):
            return False
        self._folds.append(line)
        self._fields_folded = len(fields)
        return True

    def _join(self, fields: Fields) -> None:
        if self._folds:
            name, value = fields[self._fields_folded - 1]
            fields[self._fields_folded - 1] = (name, b" ".join([value, *self._folds]))
            self._folds.clear()

    def _has_parts(self, fields: Fields) -> bool:
        for name, value in fields[self._types :]:
            is_type = name.lower() == "content-type"
            self._is_multipart |= is_type and value[:16].lower().startswith(b"multipart/")
        self._types = len(fields)
        return self._is_multipart

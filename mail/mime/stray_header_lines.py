"""Recovery from stray header lines: lines that are neither field nor continuation (RFC 5322 §2.2).

Mailbox exporters (`From ` and `>From ` lines), gateways that unfold fields, and scanners leave such
lines. Only an empty line ends a header, so the fields after a stray line count. In a header without
an empty line, the body begins at the first stray line.
Accepts any lines and never raises. Linear time.
"""

import re
from dataclasses import dataclass, field

Fields = list[tuple[str, bytes]]

TRACE_FIELDS_MAX = 200  # before the separator of a mailbox file
_MBOX_LINE = re.compile(rb">*From ")
_TRACE_FIELDS = frozenset({"return-path", "received", "delivered-to", "x-original-to"})
# Continuations that lost their white space: a parameter after `;`, an address after `,`.
_PARAMETER = re.compile(rb"[^\s=:;,\"]{1,64}[ \t]*=")
_ADDRESS = re.compile(rb"[^:@]{0,998}@")


@dataclass(slots=True)
class StrayLines:
    """The stray lines of one header. After `finish`, `body_start` is the offset of the body.

    A run is a sequence of stray lines without a field between them.
    """

    body_start: int = -1
    _first: int = -1  # offset of the first stray line
    _fields_before: int = 0  # number of fields before `_first`
    _run: int = -1  # offset of the first line of the last run
    _fields_before_run: int = 0
    _trace_fields: int = 0  # number of leading fields that are trace fields
    _types_checked: int = 0  # number of fields checked for a multipart Content-Type
    _is_multipart: bool = False
    _folds: list[bytes] = field(default_factory=list)  # continue the last of `_fields_folded`
    _fields_folded: int = 0

    def add(self, line: bytes, offset: int, fields: Fields) -> bool:
        """Add the line at `offset`. False: the line is a delimiter, and the body begins there."""
        if self._is_separator(line, fields) or self._continues(line.strip(), fields):
            return True
        if self._first < 0:
            self._first, self._fields_before = offset, len(fields)
        if self._run < 0 or len(fields) > self._fields_before_run:
            self._run, self._fields_before_run = offset, len(fields)
        return not (line.startswith(b"--") and self._is_in_multipart(fields))

    def finish(self, fields: Fields, end: int | None) -> bool:
        """Join lost continuations to their fields, and find where the body begins.

        `end`: the offset after the empty line; None: there is no empty line, so the fields after
        the first stray line are text and are dropped. False: there was no stray line.
        """
        self._join_folds(fields)
        if self._first < 0:
            return False
        if end is None:
            del fields[self._fields_before :]
            self.body_start = self._first
        else:
            self.body_start = self._run if len(fields) == self._fields_before_run else end
        return True

    def _is_separator(self, line: bytes, fields: Fields) -> bool:
        """Whether `line` is the separator of a mailbox file, with only trace fields before it."""
        if self._first >= 0 or not _MBOX_LINE.match(line) or len(fields) > TRACE_FIELDS_MAX:
            return False
        while (
            self._trace_fields < len(fields)
            and fields[self._trace_fields][0].lower() in _TRACE_FIELDS
        ):
            self._trace_fields += 1
        return self._trace_fields == len(fields)

    def _continues(self, line: bytes, fields: Fields) -> bool:
        """Whether `line` continues the last field without white space; it is joined later."""
        if not fields or len(fields) == self._fields_before_run:
            return False
        if len(fields) != self._fields_folded:
            self._join_folds(fields)
        before = self._folds[-1] if self._folds else fields[-1][1]
        is_next = before.endswith(b";") and _PARAMETER.match(line)
        if not is_next and not (before.endswith(b",") and _ADDRESS.match(line)):
            return False
        self._folds.append(line)
        self._fields_folded = len(fields)
        return True

    def _join_folds(self, fields: Fields) -> None:
        if self._folds:
            name, value = fields[self._fields_folded - 1]
            fields[self._fields_folded - 1] = (name, b" ".join([value, *self._folds]))
            self._folds.clear()

    def _is_in_multipart(self, fields: Fields) -> bool:
        for name, value in fields[self._types_checked :]:
            is_type = name.lower() == "content-type"
            self._is_multipart |= is_type and value[:16].lower().startswith(b"multipart/")
        self._types_checked = len(fields)
        return self._is_multipart

"""A start that another try would not change: one line on stderr, and an exit code of its own."""

from typing import IO, Any

import click

from stack.supervision.program import REFUSED

_PREFIX = "postriver: "


class StartRefused(click.ClickException):
    """`setup` has refused this state or these engines; a restart ends in the same way."""

    exit_code = REFUSED

    def __init__(self, message: str) -> None:
        """`message` may be the line that another process has shown."""
        super().__init__(message.removeprefix(_PREFIX))

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(_PREFIX + self.message, file=file, err=file is None)

"""What a check found, in words for somebody who was woken by it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"  # works; should be known
    PROBLEM = "problem"  # something does not work, or will not for long


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` is there, and what to `do`: a command, or a sentence that ends in one."""

    level: Level
    check: str
    what: str
    do: str = ""


def ok(check: str, what: str) -> Finding:
    return Finding(Level.OK, check, what)


def note(check: str, what: str, do: str) -> Finding:
    return Finding(Level.NOTE, check, what, do)


def problem(check: str, what: str, do: str) -> Finding:
    return Finding(Level.PROBLEM, check, what, do)

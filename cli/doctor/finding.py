"""A finding of `postriver doctor`, in words for an operator who was woken by it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"  # works, but the operator should know
    PROBLEM = "problem"  # does not work, or will stop working soon


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was found, and what to `do`: a command, or a sentence that ends in a command."""

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

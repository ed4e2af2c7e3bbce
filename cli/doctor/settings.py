"""Settings: names that nobody reads, and old ones. Bad values stop every command by themselves."""

from collections.abc import Mapping
from difflib import get_close_matches

from cli.config.config import DEPRECATED, KNOWN_SETTINGS, PREFIX, Config
from cli.config.exposure import REMEDY, in_clear_at
from cli.doctor.finding import Finding, note, ok, problem


def settings(
    environ: Mapping[str, str], deprecated: Mapping[str, str] = DEPRECATED
) -> list[Finding]:
    """`deprecated`: an old name, and what to use instead."""
    given = sorted(name for name in environ if name.startswith(PREFIX))
    found = [
        note("settings", f"{name} is an old name", f"use {deprecated[name]}")
        for name in given
        if name in deprecated
    ]
    found += [
        note("settings", f"{name} is no setting", _likely(name))
        for name in given
        if name not in KNOWN_SETTINGS and name not in deprecated
    ]
    return found or [ok("settings", f"{len(given)} set, all known")]


def in_clear(config: Config) -> list[Finding]:
    return [
        problem("http", f"passwords cross the network in clear at {each}", REMEDY)
        for each in in_clear_at(config)
    ]


def _likely(name: str) -> str:
    close = get_close_matches(name, KNOWN_SETTINGS, n=1)
    return f"did you mean {close[0]}?" if close else "see the table in README.md"

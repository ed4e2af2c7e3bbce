"""Settings: unknown and deprecated names. A bad value stops every command by itself."""

from collections.abc import Mapping
from difflib import get_close_matches

from cli.config.config import DEPRECATED, KNOWN_SETTINGS, PREFIX, Config
from cli.config.exposure import REMEDY, in_clear_at
from cli.doctor.finding import Finding, note, ok, problem


def settings(
    environ: Mapping[str, str], deprecated: Mapping[str, str] = DEPRECATED
) -> list[Finding]:
    """Report unknown and deprecated POSTRIVER_* names. `deprecated`: old name to new name."""
    given = sorted(name for name in environ if name.startswith(PREFIX))
    findings = [
        note("settings", f"{name} is an old name", f"use {deprecated[name]}")
        for name in given
        if name in deprecated
    ]
    findings += [
        note("settings", f"{name} is no setting", _suggestion(name))
        for name in given
        if name not in KNOWN_SETTINGS and name not in deprecated
    ]
    return findings or [ok("settings", f"{len(given)} set, all known")]


def in_clear(config: Config) -> list[Finding]:
    return [
        problem("http", f"passwords cross the network in clear at {address}", REMEDY)
        for address in in_clear_at(config)
    ]


def _suggestion(name: str) -> str:
    close = get_close_matches(name, KNOWN_SETTINGS, n=1)
    return f"did you mean {close[0]}?" if close else "see the table in README.md"

"""How times and hops are shown to people."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.mail import Hop, Verdict


def when(at_ms: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_of(held: Mapping[str, Any]) -> str:
    """TOPIC@PARTITION-OFFSET of the event that has waited longest in a held partition."""
    return f"{held.get('topic')}@{held.get('partition')}-{held.get('offset')}"


def hop_lines(hops: Iterable[Hop | dict[str, Any]]) -> list[str]:
    """A line for each stage: start, how long it waited before, how long it worked, verdict."""
    lines, before = [], None
    for one in hops:
        hop = one if isinstance(one, Hop) else _hop(one)
        wait = 0 if before is None else max(0, hop.started_at_ms - before)
        before = hop.started_at_ms + round(hop.took_ms)
        lines.append(
            f"  {hop.stage:<9} {when(hop.started_at_ms)}  waited {wait:>6} ms  "
            f"worked {hop.took_ms:>8.1f} ms  {hop.verdict}"
            + (f"  (try {hop.attempt})" if hop.attempt > 1 else "")
            + f"  {hop.worker}"
        )
    return lines


def verdict_line(verdict: Verdict) -> str:
    """What the scanners said, and by which rules and signatures."""
    said = [verdict.outcome, verdict.virus, verdict.detail]
    if verdict.rules:
        said.append(f"score {verdict.spam_score:g} ({', '.join(verdict.spam_tests) or 'no test'})")
    said += [f"rules {verdict.rules}"] if verdict.rules else []
    said += [f"signatures {verdict.signatures}"] if verdict.signatures else []
    said += [f"not looked into: {', '.join(verdict.unchecked)}"] if verdict.unchecked else []
    return ", ".join(text for text in said if text)


def _hop(plain: dict[str, Any]) -> Hop:
    """A hop out of JSON; the edge tells its time in RFC 3339."""
    if "started_at_ms" in plain:
        return Hop(**plain)
    rest = {name: value for name, value in plain.items() if name != "started_at"}
    started = datetime.fromisoformat(plain["started_at"])
    return Hop(started_at_ms=round(started.timestamp() * 1000), **rest)

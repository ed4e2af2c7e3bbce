"""Text for operators: hops, verdicts, held events."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mail.clock import rfc3339
from operations.timeline import timed
from schemas.mail import Hop, Verdict
from schemas.versions.change import SchemaChange


def event_of(held: Mapping[str, Any]) -> str:
    """Return TOPIC@PARTITION-OFFSET of the event that has waited longest in a held partition."""
    return f"{held.get('topic')}@{held.get('partition')}-{held.get('offset')}"


def hop_lines(hops: Iterable[Hop | dict[str, Any]]) -> list[str]:
    """Return a line for each stage: start, time waited before it, time worked, verdict."""
    return [
        f"  {hop.stage:<9} {rfc3339(hop.started_at_ms)}  waited {wait:>6} ms  "
        f"worked {hop.took_ms:>8.1f} ms  {hop.verdict}"
        + (f"  (try {hop.attempt})" if hop.attempt > 1 else "")
        + f"  {hop.worker}"
        for hop, wait in (
            (row.hop, row.waited_ms)
            for row in timed(hop if isinstance(hop, Hop) else _hop(hop) for hop in hops)
        )
    ]


def change_line(change: SchemaChange) -> str:
    """Return engine, part and versions; a part that keeps its version has steps."""
    raised = f"{change.found} → {change.version}" if change.found != change.version else "repaired"
    return f"{change.engine:<10} {change.part}: {raised}"


def verdict_line(verdict: Verdict) -> str:
    """Return the scanners' result, with the versions of rules and signatures."""
    parts = [verdict.outcome, verdict.virus, verdict.detail]
    if verdict.rules:
        parts.append(f"score {verdict.spam_score:g} ({', '.join(verdict.spam_tests) or 'no test'})")
    parts += [f"rules {verdict.rules}"] if verdict.rules else []
    parts += [f"signatures {verdict.signatures}"] if verdict.signatures else []
    parts += [f"not scanned: {', '.join(verdict.unchecked)}"] if verdict.unchecked else []
    return ", ".join(text for text in parts if text)


def _hop(plain: dict[str, Any]) -> Hop:
    """Return a hop from JSON; the HTTP API has its start in RFC 3339."""
    if "started_at_ms" in plain:
        return Hop(**plain)
    rest = {name: value for name, value in plain.items() if name != "started_at"}
    started = datetime.fromisoformat(plain["started_at"])
    return Hop(started_at_ms=round(started.timestamp() * 1000), **rest)

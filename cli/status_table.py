"""The report of a supervisor as text for `postriver status`.

The supervisor may be of another version than this command, as during an upgrade: a field that the
report does not have is shown as unknown, or its line is left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cli.formatting import event_of

UNKNOWN = "unknown"


def status_table(report: Mapping[str, Any]) -> str:
    """Return a line for the stack, and for each warning, process, engine and role."""
    return "\n".join(_lines(report))


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    signatures = report.get("signatures", UNKNOWN)
    yield f"state {report.get('state', UNKNOWN)}, virus signatures: {signatures}"
    for warning in report.get("warnings", ()):
        yield f"  note: {warning}"
    for row in (*report.get("processes", ()), *report.get("engines", ())):
        yield _process(row)
    yield from external_lines(report.get("external", ()))
    for row in report.get("roles", ()):
        yield from _role(row)


def external_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each host of an engine that runs elsewhere."""
    for row in rows:
        yield f"  {row['engine']:<10} at {row['at']}: {row['reason'] or 'answers'}"


def _process(row: Mapping[str, Any]) -> str:
    """Return the line of a process, or of an engine with its detail."""
    name, state = row.get("name", UNKNOWN), row.get("state", UNKNOWN)
    line = f"  {name:<10} {state:<10} pid {row.get('pid', UNKNOWN)}"
    return f"{line}  {row['detail']}" if "detail" in row else line


def _role(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {row.get('name', UNKNOWN):<10} lag {row.get('lag', UNKNOWN)}"
    for event in row.get("held", ()):
        engine, detail = event.get("engine", UNKNOWN), event.get("detail", UNKNOWN)
        yield f"    held: {engine}, {detail}; at {event_of(event)}"
    detail = row.get("detail", {})
    if queued := detail.get("queue"):
        counts = ", ".join(f"{count} {state}" for state, count in queued.items())
        yield f"    relay queue: {counts}; {detail.get('at_work', UNKNOWN)} at work"
    if sweep := detail.get("sweep"):
        yield f"    sweep: {sweep}"

"""Generator of docs/topology.md from the table of topics, so that the page and the table agree.

`python -m streams.topology_doc` writes the page; with `--check` it exits with 1 when the page is
out of date.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from streams.topology import CUSTODY, EVENT_MAX_BYTES, PARTITIONS, STAGES, TOPICS, Stage, Topic

PAGE = Path(__file__).parents[1] / "docs" / "topology.md"
SOURCE = "streams/topology.py"
EDGES = {  # writers and readers that are not stages
    "ingress": "SMTP in",
    "pop3": "POP3",
    "msa": "SMTP submission",
    "api": "REST, WebSocket",
    CUSTODY: "ledger",
}

_HEAD = f"""\
# Topology

Generated from `{SOURCE}` by `python -m streams.topology_doc`; do not edit.

Boxes are stages, each one Faust agent, with their role below the name. Rounded boxes are roles
without stages. Cylinders are topics. Solid lines are the way of events. Dotted lines go to
`dead.letters`, for events that cannot be handled, and to roles that read a topic in a consumer
group of their own.
"""


_TOPICS = """
*Only copy of a mail*: a record of the topic may be the only copy of a mail. On a cluster, 2 of 3
replicas have a record before it is acknowledged. On a single node, every record of these topics,
and of all topics with a stage that reads them, is flushed to disk before it is acknowledged.
"""

_LIMITS = f"""
An event has at most {EVENT_MAX_BYTES // 1024} KiB. No record expires by time or size. Each role
deletes the records that its group has committed, less a margin, from the topics that its stages
read. It never deletes a record that another group has still to read, and no record of
`dead.letters` or of a compacted topic.
"""

_STAGES = """
A role is one process and one consumer group, `postriver-ROLE`. Several processes of a role share
its partitions.
"""

_TOPIC_COLUMNS = (
    *("topic", "carries", "key", "partitions", "settings", "only copy of a mail"),
    *("written by", "read by", "failures go to"),
)
_STAGE_COLUMNS = (
    *("stage", "role", "reads", "emits", "at once, per partition", "equal keys in order"),
    "failures go to",
)


def render() -> str:
    """Return the text of the page."""
    parts = (
        (_HEAD, "## The graph\n", "```mermaid", *_graph(), "```\n", "## Topics\n"),
        (*_table(_TOPIC_COLUMNS, map(_topic_row, TOPICS)), _TOPICS.rstrip(), _LIMITS),
        ("## Stages\n", *_table(_STAGE_COLUMNS, map(_stage_row, STAGES)), _STAGES.rstrip(), ""),
    )
    return "\n".join(line for part in parts for line in part)


def _graph() -> Iterable[str]:
    yield "graph LR"
    for name, does in EDGES.items():
        yield f"  {name}([{name}<br/>{does}])"
    for topic in TOPICS:
        yield f"  {_node(topic.name)}[({topic.name})]"
    for stage in STAGES:
        yield f"  {stage.name}[{stage.name}<br/>{stage.role}]"
    for topic in TOPICS:
        yield from _edges(topic)


def _edges(topic: Topic) -> Iterable[str]:
    parks = {stage.name for stage in STAGES if stage.failures_to == topic.name}
    for writer in topic.writers:
        arrow = "-.->" if writer in parks else "-->"
        yield f"  {writer} {arrow} {_node(topic.name)}"
    if topic.reader:
        yield f"  {_node(topic.name)} --> {topic.reader}"
    for watcher in topic.watchers:
        yield f"  {_node(topic.name)} -.-> {watcher}"


def _topic_row(topic: Topic) -> Sequence[str]:
    reader = next((stage for stage in STAGES if stage.name == topic.reader), None)
    settings = (f"`{name}={value}`" for name, value in sorted(topic.settings.items()))
    return (
        f"`{topic.name}`",
        _kinds(topic.carries),
        topic.keyed_by,
        str(PARTITIONS),
        "<br/>".join(settings),
        _yes(holds=topic.only_copy),
        ", ".join(topic.writers),
        ", ".join([*([reader.name] if reader else []), *topic.watchers]) or "-",
        f"`{reader.failures_to}`" if reader else "-",
    )


def _stage_row(stage: Stage) -> Sequence[str]:
    return (
        stage.name,
        stage.role,
        f"`{stage.reads}`",
        _kinds(stage.emits),
        str(stage.in_flight),
        _yes(holds=stage.ordered),
        f"`{stage.failures_to}`",
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield _line(head)
    yield _line(["---"] * len(head))
    yield from map(_line, rows)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _kinds(kinds: Iterable[type]) -> str:
    return ", ".join(f"`{kind.__name__}`" for kind in kinds) or "-"


def _yes(*, holds: bool) -> str:
    return "yes" if holds else "no"


def _node(topic: str) -> str:
    """Return the id of a topic's node: Mermaid's ids contain no dots."""
    return "t_" + topic.replace(".", "_").replace("-", "_")


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: 0 success, 1 the page is out of date, 2 wrong usage."""
    page = render()
    if not arguments:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if list(arguments) != ["--check"]:
        sys.stderr.write("usage: python -m streams.topology_doc [--check]\n")
        return 2
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    sys.stderr.write(f"{PAGE} is out of date: run python -m streams.topology_doc\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

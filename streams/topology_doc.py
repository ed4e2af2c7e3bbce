"""Renders docs/topology.md from the table of topics, so that the page cannot lie.

`python -m streams.topology_doc` writes it; with `--check` it exits 1 when the page is out of date.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from streams.topology import CUSTODY, EVENT_MAX_BYTES, PARTITIONS, STAGES, TOPICS, Stage, Topic

PAGE = Path(__file__).parents[1] / "docs" / "topology.md"
SOURCE = "streams/topology.py"
EDGES = {  # what writes or reads and is no stage
    "ingress": "SMTP in",
    "api": "REST, WebSocket",
    CUSTODY: "ledger",
}

_HEAD = f"""\
# Topology

Generated from `{SOURCE}` by `python -m streams.topology_doc`; do not edit.

Boxes are stages (an agent each; the role it runs in below its name), rounded boxes are the edges,
cylinders are topics. Dotted lines: where an event goes that can never be handled, and who reads
beside the river.
"""


_TOPICS = """
*Only copy of a mail*: on a cluster 2 of 3 replicas have it. On a single node every record of these
topics, and of all that have a reader, is flushed to disk before it is acknowledged.
"""

_LIMITS = f"""
Records are at most {EVENT_MAX_BYTES // 1024} KiB. Nothing expires by time or size: each role
removes what its group has committed, less a margin, from the topics that it reads, and never what
another group has still to read; never from `dead.letters` or from a compacted topic.
"""

_STAGES = """
A role is one process and one consumer group, `postriver-ROLE`; more processes of a role share its
partitions.
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
    """The page, as it should be."""
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
    """Mermaid's ids take no dots."""
    return "t_" + topic.replace(".", "_").replace("-", "_")


def main(arguments: Sequence[str]) -> int:
    """0 done; 1 the page is out of date; 2 wrong use."""
    wanted = render()
    if not arguments:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if list(arguments) != ["--check"]:
        sys.stderr.write("usage: python -m streams.topology_doc [--check]\n")
        return 2
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted:
        return 0
    sys.stderr.write(f"{PAGE} is out of date: run python -m streams.topology_doc\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

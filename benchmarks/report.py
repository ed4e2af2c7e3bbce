"""A run's result as tables and pictures in docs/performance.md.

Parts of that page between `<!-- bench: NAME -->` and `<!-- end -->` are written here, the rest by
hand. `python -m benchmarks.report FILE` writes them from a result that was kept.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.stack import ROOT

PAGE = ROOT / "docs" / "performance.md"
# What a mail may cost, in milliseconds of CPU, by process: six stages of 0.1, and
# accept 0.5, broker 0.5, parse 0.03, virus scan 1.1, content 0.1, store 0.1, index 0.2, push 0.05.
BUDGET_MS = {
    "ingress": (0.5, "accept"),
    "intake": (0.33, "two stages, parse, content"),
    "scan": (0.1, "a stage"),
    "mailbox": (0.2, "a stage, store"),
    "index": (0.3, "a stage, index"),
    "api": (0.15, "a stage, push"),
    "kafka": (0.5, "broker"),
    "clamd": (1.1, "virus scan"),
    "supervisor": (0.0, ""),
}
_SCREEN = "on its owner's screen"
_SEEN = {"index": "in the index"}
_PART = re.compile(r"(<!-- bench: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
Found = dict[str, Any]


def update_docs(found: Found, page: Path = PAGE) -> None:
    """The parts of `page`, and beside it in a folder of its name the pictures and the result."""
    text = page.read_text(encoding="utf-8")
    page.write_text(_PART.sub(lambda m: f"{m[1]}{PARTS[m[2]](found)}\n{m[3]}", text), "utf-8")
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    for name, picture in plots.pictures(found, BUDGET_MS).items():
        (folder / f"{name}.svg").write_text(picture, encoding="utf-8")
    (folder / "result.json").write_text(f"{json.dumps(found, indent=1)}\n", encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def run(found: Found) -> str:
    versions = ", ".join(f"{name} {what}" for name, what in found["versions"].items())
    machine = found["machine"]
    return (
        f"{found['at']}, {found['size']} run of {found['took_s']} s, seed {found['seed']}. "
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}; load average before {found['load_average'][0][0]}, "
        f"after {found['load_average'][1][0]}. {versions}."
    )


def rates(found: Found) -> str:
    rows = [
        [name, flow["mails"], *(flow["per_s"][what] for what in ("accepted", "stored", "indexed"))]
        for name, flow in (
            ("without the spam engine", found["flow"]),
            ("with SpamAssassin", found.get("flow_with_spam_engine")),
        )
        if flow
    ]
    return table(["", "mails", "accepted/s", "stored/s", "indexed/s"], rows)


def cost(found: Found) -> str:
    """Every process that ran; one without a budget is there too, and counts."""
    spent = found["flow"]["cpu_ms_per_mail"]
    idle, memory = found["idle_cpu_ms_per_s"], found["memory_mib"]
    ours = [*BUDGET_MS, *sorted(spent.keys() - BUDGET_MS.keys() - {"spamd"})]
    rows: list[Sequence[Any]] = []
    for name in ours:
        budget, what = BUDGET_MS.get(name, (0.0, ""))
        rows.append([name, what, budget, f"{spent[name]:.2f}", idle[name], memory[name]])
    budget = sum(ms for ms, _ in BUDGET_MS.values())
    total = sum(spent[name] for name in ours)
    sums = [round(sum(idle[name] for name in ours), 1), round(sum(memory[name] for name in ours))]
    rows.append(["**all**", "", f"**{budget:.2f}**", f"**{total:.2f}**", *sums])
    if scanned := found.get("flow_with_spam_engine"):
        spamd = scanned["cpu_ms_per_mail"]["spamd"]
        rows.append(["spamd", "spam scan, measured apart", "", f"{spamd:.0f}", "", memory["spamd"]])
    return table(["process", "for", "budget", "measured", "idle, ms/s", "MiB"], rows)


def push(found: Found) -> str:
    fields = ("per_s", "mails", "refused", "p50_ms", "p99_ms", "most_ms")
    rows = [[name, *map(one.__getitem__, fields)] for name, one in found["push"].items()]
    return table(["", "mails/s", "mails", "refused", "p50 ms", "p99 ms", "most ms"], rows)


def api(found: Found) -> str:
    rows = [
        [f"{one['mails']:,}", one["call"], one["p50_ms"], one["p99_ms"], one["cpu_ms"]]
        for one in found["api"]
    ]
    return table(["mails in the mailbox", "call", "p50 ms", "p99 ms", "CPU ms"], rows)


def size(found: Found) -> str:
    return table(["where", "bytes a mail"], found["bytes_per_mail"].items())


def times(found: Found) -> str:
    rows = [[f"start-up, {name}", f"{took} s"] for name, took in found["start_up_s"].items()]
    rows += [
        [f"`kill -9` of {role} to the next mail {_SEEN.get(role, _SCREEN)}", f"{took} s"]
        for role, took in found["takeover_s"].items()
    ]
    if hop := found.get("hop"):
        told = f"{hop['cpu_us']} µs of CPU, {hop['per_s']:,}/s, p50 {hop['p50_ms']} ms"
        rows.append(["one hop of a 1 KB event (a trivial stage)", told])
    return table(["what", ""], rows)


def accept(found: Found) -> str:
    rows = [
        [
            one["server"], one["size_bytes"] // 1024, one["connection"], f"{one['per_s']:,}",
            one["cpu_ms"], one["ours_by_this"],
        ]
        for one in found.get("accept", [])
    ]  # fmt: skip
    head = ["server", "KB", "connection", "mails/s", "CPU ms/mail", "ours / this"]
    absent = [f"\n{name} was {why}." for name, why in found.get("peers_absent", {}).items()]
    return table(head, rows) + "".join(absent)


PARTS: dict[str, Callable[[Found], str]] = {
    part.__name__: part for part in (run, rates, cost, push, api, size, times, accept)
}

if __name__ == "__main__":
    update_docs(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))

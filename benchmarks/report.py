"""Tables and charts of a benchmark result in docs/performance.md.

This module writes the parts between `<!-- bench: NAME -->` and `<!-- end -->`; the rest is written
by hand. `python -m benchmarks.report FILE` writes the parts from a saved result.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.stack import ROOT
from benchmarks.webmail import budgets

PAGE = ROOT / "docs" / "performance.md"
# Budget of a mail in milliseconds of CPU, by process: six stages of 0.1, and
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
Result = dict[str, Any]


def update_docs(result: Result, page: Path = PAGE) -> None:
    """Write the parts of `page`; write the charts and the result to the folder of its name."""
    text = page.read_text(encoding="utf-8")
    page.write_text(_PART.sub(lambda m: f"{m[1]}{PARTS[m[2]](result)}\n{m[3]}", text), "utf-8")
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    for name, chart in plots.charts(result, BUDGET_MS).items():
        (folder / f"{name}.svg").write_text(chart, encoding="utf-8")
    (folder / "result.json").write_text(f"{json.dumps(result, indent=1)}\n", encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def run(result: Result) -> str:
    versions = ", ".join(f"{name} {what}" for name, what in result["versions"].items())
    machine = result["machine"]
    return (
        f"{result['at']}, {result['size']} run of {result['took_s']} s, seed {result['seed']}. "
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}; load average before {result['load_average'][0][0]}, "
        f"after {result['load_average'][1][0]}. {versions}."
    )


def rates(result: Result) -> str:
    rows = [
        [name, flow["mails"], *(flow["per_s"][what] for what in ("accepted", "stored", "indexed"))]
        for name, flow in (
            ("without the spam engine", result["flow"]),
            ("with SpamAssassin", result.get("flow_with_spam_engine")),
        )
        if flow
    ]
    return table(["", "mails", "accepted/s", "stored/s", "indexed/s"], rows)


def cost(result: Result) -> str:
    """Return the table of all processes; processes without a budget count too."""
    spent = result["flow"]["cpu_ms_per_mail"]
    idle, memory = result["idle_cpu_ms_per_s"], result["memory_mib"]
    ours = [*BUDGET_MS, *sorted(spent.keys() - BUDGET_MS.keys() - {"spamd"})]
    rows: list[Sequence[Any]] = []
    for name in ours:
        budget, what = BUDGET_MS.get(name, (0.0, ""))
        rows.append([name, what, budget, f"{spent[name]:.2f}", idle[name], memory[name]])
    budget = sum(ms for ms, _ in BUDGET_MS.values())
    total = sum(spent[name] for name in ours)
    sums = [round(sum(idle[name] for name in ours), 1), round(sum(memory[name] for name in ours))]
    rows.append(["**all**", "", f"**{budget:.2f}**", f"**{total:.2f}**", *sums])
    if scanned := result.get("flow_with_spam_engine"):
        spamd = scanned["cpu_ms_per_mail"]["spamd"]
        rows.append(["spamd", "spam scan, measured apart", "", f"{spamd:.0f}", "", memory["spamd"]])
    return table(["process", "for", "budget", "measured", "idle, ms/s", "MiB"], rows)


def push(result: Result) -> str:
    fields = ("per_s", "mails", "refused", "p50_ms", "p99_ms", "most_ms")
    rows = [[name, *map(figures.__getitem__, fields)] for name, figures in result["push"].items()]
    return table(["", "mails/s", "mails", "refused", "p50 ms", "p99 ms", "most ms"], rows)


def api(result: Result) -> str:
    rows = [
        [f"{row['mails']:,}", row["call"], row["p50_ms"], row["p99_ms"], row["cpu_ms"]]
        for row in result["api"]
    ]
    return table(["mails in the mailbox", "call", "p50 ms", "p99 ms", "CPU ms"], rows)


def size(result: Result) -> str:
    return table(["where", "bytes a mail"], result["bytes_per_mail"].items())


def times(result: Result) -> str:
    rows = [[f"start-up, {name}", f"{took} s"] for name, took in result["start_up_s"].items()]
    rows += [
        [f"`kill -9` of {role} to the next mail {_SEEN.get(role, _SCREEN)}", f"{took} s"]
        for role, took in result["takeover_s"].items()
    ]
    if hop := result.get("hop"):
        figures = f"{hop['cpu_us']} µs of CPU, {hop['per_s']:,}/s, p50 {hop['p50_ms']} ms"
        rows.append(["one hop of a 1 KB event (a trivial stage)", figures])
    return table(["what", ""], rows)


def accept(result: Result) -> str:
    rows = [
        [
            row["server"], row["size_bytes"] // 1024, row["connection"], f"{row['per_s']:,}",
            row["cpu_ms"], row["ours_by_this"],
        ]
        for row in result.get("accept", [])
    ]  # fmt: skip
    head = ["server", "KB", "connection", "mails/s", "CPU ms/mail", "ours / this"]
    absent = [f"\n{name} was {why}." for name, why in result.get("peers_absent", {}).items()]
    return table(head, rows) + "".join(absent)


def views(result: Result) -> str:
    rows = [
        [row["what"], row["cpu_ms"], row["controls"], row["goal"], row.get("per_s", "")]
        for row in result.get("views", [])
    ]
    return table(["what", "CPU ms", "controls", "goal", "a second"], rows)


def webmail(result: Result) -> str:
    rows = budgets.rows(result.get("webmail", {}).get("figures", {}))
    return table(["what", "budget", "full CPU", "a quarter of it", ""], rows)


def sending(result: Result) -> str:
    """Return rates and the CPU of the processes that spend most on a sent mail."""
    flows = result["sending"] | {
        f"{name}, with SpamAssassin": flow
        for name, flow in result.get("sending_with_spam_engine", {}).items()
    }
    names = ("api", "intake", "scan", "mailbox", "relay", "index", "kafka", "clamd", "spamd")
    rows = []
    for name, flow in flows.items():
        spent = flow["cpu_ms_per_mail"]
        shown = [f"{spent[process]:.2f}" for process in names]
        total = f"{sum(spent.values()):.2f}"
        per_s = flow["per_s"]
        rows.append([name, flow["mails"], per_s["answered"], per_s["sent"], *shown, total])
    head = ["mails of users", "mails", "answered/s", "sent/s", *names, "all, CPU ms a mail"]
    return table(head, rows)


def sent(result: Result) -> str:
    slow = {"POST to the recipient's screen": result["post_to_push"]}
    slow |= {
        f"POST to the other server's 250, {name}": took
        for name, took in result.get("beside_stuck", {}).items()
    }
    fields = ("mails", "p50_ms", "p99_ms", "most_ms")
    rows = [[name, *map(took.__getitem__, fields)] for name, took in slow.items()]
    return table(["", "mails", "p50 ms", "p99 ms", "most ms"], rows)


def relay(result: Result) -> str:
    rows = [
        [row["server"], row["mails"], f"{row['per_s']:,}", row["cpu_ms"], row["ours_by_this"]]
        for row in result.get("relay", [])
    ]
    return table(["server", "mails", "mails/s", "CPU ms/mail", "ours / this"], rows)


PARTS: dict[str, Callable[[Result], str]] = {
    part.__name__: part
    for part in (
        run,
        rates,
        cost,
        push,
        api,
        size,
        times,
        accept,
        views,
        webmail,
        sending,
        sent,
        relay,
    )
}

if __name__ == "__main__":
    update_docs(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))

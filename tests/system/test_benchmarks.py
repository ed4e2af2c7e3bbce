"""The meter itself, in its smallest form: whole stack in, numbers out, page written."""

import json
import subprocess
import sys

import pytest

from benchmarks import report
from benchmarks.processes import Meter
from benchmarks.webmail import budgets
from streams.topology import TOPICS
from tests.support import ROOT

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    file = tmp_path_factory.mktemp("bench") / "result.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--size", "tiny", "--seed", "7", "--json", str(file)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(file.read_text())


def test_every_process_and_topic_of_a_mail_is_measured(found):
    spent = found["flow"]["cpu_ms_per_mail"]
    assert report.BUDGET_MS.keys() | {"spamd"} <= spent.keys()
    assert all(spent[name] > 0 for name in ("ingress", "intake", "scan", "mailbox", "kafka"))
    assert all(mib > 1 for mib in found["memory_mib"].values())
    on_the_way = {f"topic {topic.name}" for topic in TOPICS if topic.writers and topic.reader}
    grown = found["bytes_per_mail"].keys() | found["bytes_per_sent_mail"].keys()
    assert on_the_way - grown == {"topic mail.rejected"}  # no mail of the benchmark is
    assert found["bytes_per_mail"]["topic mail.received"] > found["flow"]["size_bytes"]


def test_times_are_in_order(found):
    rates = found["flow"]["per_s"]
    assert rates["accepted"] >= rates["stored"] * 0.99
    for flow in found["sending"].values():
        assert flow["per_s"]["answered"] >= flow["per_s"]["sent"] * 0.99
    for one in (*found["push"].values(), *found["api"], found["post_to_push"]):
        assert 0 < one["p50_ms"] <= one["p99_ms"] <= one["most_ms"]
    assert {one["mails"] for one in found["api"]} == {50, 600}


def test_the_page_is_written_from_a_result(found, tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(report.PAGE.read_text())
    report.update_docs(found, page)
    text = page.read_text()
    measured = found["flow"]["cpu_ms_per_mail"]["mailbox"]
    assert f"| mailbox | a stage, store | 0.2 | {measured:.2f} |" in text
    assert "seed 7" in text
    assert (tmp_path / "performance" / "cpu.svg").read_text().endswith("</svg>\n")
    assert json.loads((tmp_path / "performance" / "result.json").read_text()) == found


def test_the_webmail_keeps_or_misses_each_of_its_budgets():
    figures = {"1": {"js_kb": 70, "open_ms": 99.5, "missing_ms": 1}, "4": {"open_ms": 150.1}}
    rows = {what: rest for what, *rest in budgets.rows(figures)}
    assert rows["JavaScript of the first screen"] == ["70 KB", "70 KB", "", "kept"]
    assert rows["open another mail, p95"][0] == "100 ms; 150 ms at a quarter"
    assert rows["open another mail, p95"][-1] == "**missed**"
    assert rows["rows missing after it stops, most"][-1] == "not measured"
    assert len(rows) == len(budgets.BUDGETS)


def test_children_that_ended_are_counted():
    burn = "[sys.executable, '-c', 'sum(range(10**7))']"
    script = f"import subprocess, sys; input(); subprocess.run({burn}); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        meter = Meter({"parent": parent.pid})
        parent.stdin.write(b"\n")
        parent.stdin.flush()
        parent.stdout.readline()
        assert meter.spent_ms()["parent"] >= 50
        parent.stdin.write(b"\n")
        parent.stdin.flush()

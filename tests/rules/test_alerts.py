"""Alert rules and their runbooks: each alert is well formed, and says where it is explained."""

import json
import re

import yaml

from tests.support import ROOT

DOCKER = ROOT / "docker"
NAME = re.compile(r"\bpostriver_[a-z0-9_]+")


def rules() -> list[dict]:
    (group,) = yaml.safe_load((DOCKER / "prometheus" / "alerts.yml").read_text())["groups"]
    return group["rules"]


def expressions() -> list[str]:
    """Of all alerts and of all panels of the dashboard."""
    panels = json.loads((DOCKER / "grafana" / "postriver.json").read_text())["panels"]
    drawn = [target["expr"] for panel in panels for target in panel["targets"]]
    return [*(rule["expr"] for rule in rules()), *drawn]


def test_each_alert_has_a_runbook() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    explained = {title.lower() for title in re.findall(r"^### (Postriver\w+)$", page, re.MULTILINE)}
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        document, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (document, anchor) == ("docs/operations.md", rule["alert"].lower())
    assert {rule["alert"].lower() for rule in rules()} == explained


def test_the_scrape_example_reads_the_rules() -> None:
    config = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text())
    assert config["rule_files"] == ["alerts.yml"]
    (job,) = config["scrape_configs"]
    assert f'job="{job["job_name"]}"' in rules()[0]["expr"]


def test_documented_metrics_are_written_out_or_continued() -> None:
    """Every metric that an alert or a panel uses is explained."""
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page.partition("## Metrics and alerts")[2].partition("\n### ")[0]
    for name in {name for expr in expressions() for name in NAME.findall(expr)}:
        short = name.removesuffix("_bucket").removeprefix("postriver_")
        part = short.partition("_")[2]
        assert f"postriver_{short}" in table or f"_{short}" in table or f"_{part}" in table, name

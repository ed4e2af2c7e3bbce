"""Tables of metrics: each row is on the page, and its name follows the conventions."""

from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric as MetricFamily
from prometheus_client.registry import Collector

from cli.roles import api, custody, ingress, msa, pop3, worker_metrics
from cli.roles.metrics import COUNTER, GAUGE, HISTOGRAM, STORE_METRICS, Metric, collect
from cli.roles.worker_metrics import Measured
from mail.histogram import Histogram
from streams.topology import ROLES, stages_of
from streams.worker.status import RoleStatus

ALL = [
    *api.METRICS, *custody.METRICS, *ingress.METRICS, *msa.METRICS, *pop3.METRICS,
    *worker_metrics.METRICS, *STORE_METRICS,
]  # fmt: skip


def page(families: Iterable[MetricFamily]) -> str:
    class Once(Collector):
        def collect(self) -> Iterable[MetricFamily]:
            return families

    registry = CollectorRegistry(auto_describe=False)
    families = list(families)
    registry.register(Once())
    return generate_latest(registry).decode()


def test_each_name_has_one_row() -> None:
    names = [metric.name for metric in ALL]
    assert len(set(names)) == len(names)
    for metric in ALL:
        assert metric.help.endswith("."), metric.name
        assert metric.kind != HISTOGRAM or metric.name.endswith("_seconds")


def test_values_labels_and_missing_values_are_on_the_page() -> None:
    times = Histogram(bounds_s=(1.0,))
    times.seen(0.5)
    table: tuple[Metric[None], ...] = (
        Metric("p_mails", COUNTER, "Mails.", lambda _: 3),
        Metric("p_age_seconds", GAUGE, "Age.", lambda _: None),
        Metric("p_calls", COUNTER, "Calls.", lambda _: {("GET", 200): 7}, ("method", "status")),
        Metric("p_took_seconds", HISTOGRAM, "Time.", lambda _: {("a",): times}, ("file",)),
    )
    text = page(collect(table, None))
    for line in (
        "p_mails_total 3.0",
        "# TYPE p_age_seconds gauge",
        'p_calls_total{method="GET",status="200"} 7.0',
        'p_took_seconds_bucket{file="a",le="1.0"} 1.0',
        'p_took_seconds_sum{file="a"} 0.5',
    ):
        assert line in text
    assert "\np_age_seconds" not in text, "a name without a value"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reports_each_of_its_stages_before_the_first_event(role: str) -> None:
    text = page(collect(worker_metrics.METRICS, Measured(stages_of(role), RoleStatus())))
    for stage in stages_of(role):
        assert f'postriver_stage_events_total{{outcome="done",stage="{stage.name}"}} 0.0' in text
        assert f'postriver_held_seconds{{stage="{stage.name}"}} 0.0' in text
        assert f'postriver_lag_events{{topic="{stage.reads}"}} 0.0' in text

"""Prometheus text for the whole machine: what the supervisor measures, and every role's own page.

Families of the same name are merged, since a page may carry each only once; every sample of a role
gets a `process` label.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import psutil
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from stack.child import Child

STATES = ("starting", "ready", "degraded", "stopping")


def render(children: Sequence[Child], state: str, pages: Mapping[str, str]) -> bytes:
    """The page. `pages`: process name to Prometheus text; what cannot be parsed is left out."""
    return generate_latest(_Families([*_own(children, state), *_merged(pages)]))


class _Families:
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _own(children: Sequence[Child], state: str) -> list[Metric]:
    is_in = GaugeMetricFamily("postriver_state", "1 for the state of the machine", labels=["state"])
    for each in STATES:
        is_in.add_metric([each], float(each == state))
    up = GaugeMetricFamily("postriver_up", "1 while the process is ready", labels=["process"])
    restarts = CounterMetricFamily(
        "postriver_restarts", "Starts after the first one", labels=["process"]
    )
    memory = GaugeMetricFamily(
        "postriver_memory_rss_bytes", "Resident memory, workers included", labels=["process"]
    )
    cpu = CounterMetricFamily(
        "postriver_cpu_seconds", "CPU of the living process, workers included", labels=["process"]
    )
    for child in children:
        name = child.program.name
        rss_bytes, cpu_s = _usage(child.pid)
        up.add_metric([name], float(child.ok))
        restarts.add_metric([name], child.restarts)
        memory.add_metric([name], rss_bytes)
        cpu.add_metric([name], cpu_s)
    return [is_in, up, restarts, memory, cpu]


def _usage(pid: int | None) -> tuple[float, float]:
    """Resident bytes and CPU seconds of a process and its children; zeros when it is gone."""
    rss_bytes = cpu_s = 0.0
    try:
        leader = psutil.Process(pid) if pid else None
        family = [leader, *leader.children(recursive=True)] if leader else []
    except psutil.Error:
        return 0.0, 0.0
    for process in family:
        try:
            times = process.cpu_times()
            cpu_s += times.user + times.system
            rss_bytes += process.memory_info().rss
        except psutil.Error:
            continue
    return rss_bytes, cpu_s


def _merged(pages: Mapping[str, str]) -> list[Metric]:
    families: dict[str, Metric] = {}
    for process, text in pages.items():
        for found in _parsed(text):
            family = families.setdefault(
                found.name, Metric(found.name, found.documentation, found.type)
            )
            for sample in found.samples:
                labels = {**sample.labels, "process": process}
                family.add_sample(sample.name, labels, sample.value)
    return list(families.values())


def _parsed(text: str) -> Iterator[Metric]:
    try:
        yield from text_string_to_metric_families(text)
    except ValueError:
        return

"""Prometheus metrics of the whole machine: those of the supervisor and of every role.

Families of the same name are merged, since a page may have each only once. Every sample of a role
gets a `process` label.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from stack.supervision.supervised_process import SupervisedProcess

STATES = ("starting", "ready", "degraded", "stopping")


def render(
    children: Sequence[SupervisedProcess],
    state: str,
    pages: Mapping[str, str],
    more: Iterable[Metric] = (),
) -> bytes:
    """Return the page. `pages`: process name to Prometheus text; unparsable text is left out."""
    return generate_latest(_Families([*_own(children, state), *more, *_merged(pages)]))


class _Families:
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _own(children: Sequence[SupervisedProcess], state: str) -> list[Metric]:
    is_in = GaugeMetricFamily("postriver_state", "1 for the state of the machine", labels=["state"])
    for each in STATES:
        is_in.add_metric([each], float(each == state))
    return [is_in, *_of_processes(children)]


def _of_processes(children: Sequence[SupervisedProcess]) -> list[Metric]:
    def gauge(name: str, text: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"postriver_{name}", text, labels=["process"])

    up = gauge("up", "1 while the process is ready")
    restarts = CounterMetricFamily(
        "postriver_restarts", "Starts after the first one", labels=["process"]
    )
    memory = gauge("process_resident_memory_bytes", "Resident memory, workers included")
    files = gauge("process_open_fds", "Open files and sockets, workers included")
    cpu = CounterMetricFamily(
        "postriver_process_cpu_seconds",
        "CPU of the living process, workers included",
        labels=["process"],
    )
    for child in children:
        label, usage = [child.program.name], _usage(child.pid)
        up.add_metric(label, float(child.ok))
        restarts.add_metric(label, child.restarts)
        memory.add_metric(label, usage.rss_bytes)
        files.add_metric(label, usage.open_files)
        cpu.add_metric(label, usage.cpu_s)
    return [up, restarts, memory, files, cpu]


@dataclass(slots=True)
class _Usage:
    """Usage of a process and its visible children; zeros after its end."""

    rss_bytes: int = 0
    cpu_s: float = 0.0
    open_files: int = 0


def _usage(pid: int | None) -> _Usage:
    usage = _Usage()
    with suppress(psutil.Error):
        leader = psutil.Process(pid) if pid else None
        for process in [leader, *leader.children(recursive=True)] if leader else []:
            with suppress(psutil.Error):
                times = process.cpu_times()
                usage.cpu_s += times.user + times.system
                usage.rss_bytes += process.memory_info().rss
                usage.open_files += process.num_fds()
    return usage


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

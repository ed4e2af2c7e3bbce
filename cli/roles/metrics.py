"""Metrics of a process as a table: name, kind, help text, how to read the value, labels.

The Prometheus text of a process has the help and type of every name, also without a value.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as MetricFamily

from mail.histogram import Histogram
from stores.sqlite.database_file import CommitTimes

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"
Value = float | Histogram | None  # None: no value now
S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)

_FAMILIES = {
    COUNTER: CounterMetricFamily,
    GAUGE: GaugeMetricFamily,
    HISTOGRAM: HistogramMetricFamily,
}


@dataclass(frozen=True, slots=True)
class Metric(Generic[S_contra]):
    """One row. `read` takes the part of the process that is measured, and must not block.

    With `labels` it returns values by label values, which are few and bounded.
    """

    name: str  # without _total
    kind: str  # counter | gauge | histogram
    help: str
    read: Callable[[S_contra], Value | Mapping[Any, Value]]
    labels: tuple[str, ...] = ()


def collect(metrics: Iterable[Metric[S]], source: S) -> Iterator[MetricFamily]:
    """Read each metric of the table from `source`."""
    for metric in metrics:
        family: Any = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
        value = metric.read(source)
        values = list(value.items()) if isinstance(value, Mapping) else [((), value)]
        for labels, number in values:
            if isinstance(number, Histogram):
                family.add_metric(list(map(str, labels)), number.cumulative(), number.sum_s)
            elif number is not None:
                family.add_metric(list(map(str, labels)), number)
        yield family


STORE_METRICS: tuple[Metric[CommitTimes], ...] = (
    Metric(
        "postriver_sqlite_commit_seconds", HISTOGRAM,
        "Time of a transaction, its sync to disk included.",
        lambda times: {(file,): time for file, time in list(times.by_file.items())}, ("file",),
    ),
)  # fmt: skip

"""What every process tells its supervisor, over a unix socket under HOME/run.

/healthz: the loop turns. /readyz: 200, or 503 with reasons. /status: lag and what is held.
/metrics: Prometheus text. No mail data, no addresses.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from mail.histogram import Histogram
from stores.sqlite.database_file import CommitTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One figure: `kind` is counter, gauge or histogram; labels are few and bounded.

    Without a value it only makes the name known, so that a page always has every name.
    """

    name: str  # without _total
    help: str
    value: float | Histogram | None
    kind: str = "counter"
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """Where a process gets its own state from; every call is cheap and does not block."""

    reasons: Callable[[], list[str]] = list  # why it is not ready
    unhealthy: Callable[[], str | None] = lambda: None  # why it should be restarted
    status: Callable[[], dict[str, Any]] = dict
    samples: Callable[[], Iterable[Sample]] = tuple


def _commit_samples(commit_times: CommitTimes) -> Iterable[Sample]:
    make = partial(
        Sample,
        name="postriver_sqlite_commit_seconds",
        help="Time of a transaction, its sync to disk included.",
        kind="histogram",
    )
    yield make(value=None, labels={"file": ""})
    for file, times in list(commit_times.by_file.items()):
        yield make(value=times, labels={"file": file})


class _Samples(Collector):
    def __init__(self, report: HealthReport, commit_times: CommitTimes) -> None:
        self._report = report
        self._commit_times = commit_times

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Any] = {}
        for sample in (*self._report.samples(), *_commit_samples(self._commit_times)):
            family = families.setdefault(sample.name, _family(sample))
            labels = list(sample.labels.values())
            if isinstance(sample.value, Histogram):
                family.add_metric(labels, sample.value.cumulative(), sample.value.sum_s)
            elif sample.value is not None:
                family.add_metric(labels, sample.value)
        return families.values()


_KINDS = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


def _family(sample: Sample) -> Metric:
    family: Metric = _KINDS[sample.kind](sample.name, sample.help, labels=list(sample.labels))
    return family


async def serve_health(
    path: Path, report: HealthReport, commit_times: CommitTimes
) -> web.AppRunner:
    """Serve `report` on the unix socket `path`; the caller cleans the runner up.

    /metrics includes `commit_times`, which every process with stores has.
    """
    registry = CollectorRegistry()
    registry.register(_Samples(report, commit_times))
    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", _healthz(report)),
            web.get("/readyz", _readyz(report)),
            web.get("/status", _status(report)),
            web.get("/metrics", _metrics(registry)),
        ]
    )
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await asyncio.to_thread(path.unlink, missing_ok=True)
    await web.UnixSite(runner, str(path)).start()
    return runner


def _healthz(report: HealthReport) -> Callable[[web.Request], Any]:
    async def healthz(_: web.Request) -> web.Response:
        why = report.unhealthy()
        body = {"healthy": why is None, "reason": why}
        return web.json_response(body, status=200 if why is None else 503)

    return healthz


def _readyz(report: HealthReport) -> Callable[[web.Request], Any]:
    async def readyz(_: web.Request) -> web.Response:
        reasons = report.reasons()
        body = {"ready": not reasons, "reasons": reasons}
        return web.json_response(body, status=503 if reasons else 200)

    return readyz


def _status(report: HealthReport) -> Callable[[web.Request], Any]:
    async def status(_: web.Request) -> web.Response:
        return web.json_response(report.status())

    return status


def _metrics(registry: CollectorRegistry) -> Callable[[web.Request], Any]:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), content_type="text/plain")

    return metrics

"""Health endpoint of a process: HTTP over a unix socket under HOME/run, for the supervisor.

/healthz: 200 if the event loop runs and no part of the process is stalled, else 503.
/readyz: 200, or 503 with the reasons. /status: lag and held partitions.
/history: the lag of two hours. /metrics: Prometheus text.
No mail data, no addresses.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from cli.roles.lag_history import LagHistory
from cli.roles.metrics import STORE_METRICS, collect
from stores.sqlite.database_file import CommitTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """Functions that return the state of a process; each is cheap and does not block."""

    reasons: Callable[[], list[str]] = list  # why the process is not ready
    unhealthy: Callable[[], str | None] = lambda: None  # why it should be restarted
    status: Callable[[], dict[str, Any]] = dict
    metrics: Callable[[], Iterable[Metric]] = tuple


class _MetricsCollector(Collector):
    def __init__(self, report: HealthReport, commit_times: CommitTimes) -> None:
        self._report = report
        self._commit_times = commit_times

    def collect(self) -> Iterable[Metric]:
        return chain(self._report.metrics(), collect(STORE_METRICS, self._commit_times))


async def serve_health(
    path: Path, report: HealthReport, commit_times: CommitTimes
) -> web.AppRunner:
    """Serve `report` on the unix socket `path`. The caller cleans up the runner.

    /metrics includes `commit_times`, which every process with stores has.
    """
    registry = CollectorRegistry()
    registry.register(_MetricsCollector(report, commit_times))
    app, history = web.Application(), LagHistory(report.status)
    app.add_routes(
        [
            web.get("/healthz", _healthz(report)),
            web.get("/readyz", _readyz(report)),
            web.get("/status", _status(report)),
            web.get("/history", history.respond),
            web.get("/metrics", _metrics(registry)),
        ]
    )
    app.cleanup_ctx.append(history.sampling)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await asyncio.to_thread(path.unlink, missing_ok=True)
    await web.UnixSite(runner, str(path)).start()
    return runner


def _healthz(report: HealthReport) -> Callable[[web.Request], Any]:
    async def healthz(_: web.Request) -> web.Response:
        reason = report.unhealthy()
        body = {"healthy": reason is None, "reason": reason}
        return web.json_response(body, status=200 if reason is None else 503)

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

"""Metrics of the roles with stages: events, times and held partitions by stage; lag by topic."""

from collections.abc import Callable
from typing import Any, NamedTuple

from cli.roles.metrics import COUNTER, GAUGE, HISTOGRAM, Metric
from mail.clock import now_ms
from streams.topology import Stage
from streams.worker.status import OUTCOMES, RoleStatus


class Measured(NamedTuple):
    """What the metrics of a role are read from."""

    stages: tuple[Stage, ...]
    status: RoleStatus


def _by_stage(values: Callable[[RoleStatus, str], Any]) -> Callable[[Measured], dict[Any, Any]]:
    """Return a reader of one value for each stage of the role."""
    return lambda role: {(stage.name,): values(role.status, stage.name) for stage in role.stages}


def _events(role: Measured) -> dict[tuple[str, str], int]:
    return {
        (stage.name, outcome): role.status.events[stage.name, outcome]
        for stage in role.stages
        for outcome in OUTCOMES
    }


def _held_partitions(status: RoleStatus, stage: str) -> int:
    return sum(event.stage == stage for event in status.held)


def _held_s(status: RoleStatus, stage: str) -> float:
    since_ms = min((event.since_ms for event in status.held if event.stage == stage), default=None)
    return 0.0 if since_ms is None else max(0, now_ms() - since_ms) / 1000


def _lag_by_topic(role: Measured) -> dict[tuple[str], int]:
    return {(stage.reads,): role.status.lags.get(stage.reads, 0) for stage in role.stages}


METRICS: tuple[Metric[Measured], ...] = (
    Metric("postriver_stage_events", COUNTER, "Events by stage and outcome.",
           _events, ("stage", "outcome")),
    Metric("postriver_stage_duration_seconds", HISTOGRAM,
           "From the first try of an event to its acknowledged outputs.",
           _by_stage(lambda status, stage: status.times[stage]), ("stage",)),
    Metric("postriver_mail_age_seconds", HISTOGRAM,
           "From a mail's 250 to the end of a stage; of mailbox: until it is stored.",
           _by_stage(lambda status, stage: status.ages[stage]), ("stage",)),
    Metric("postriver_held_partitions", GAUGE, "Partitions that wait for an engine.",
           _by_stage(_held_partitions), ("stage",)),
    Metric("postriver_held_seconds", GAUGE, "How long the longest of them has waited.",
           _by_stage(_held_s), ("stage",)),
    Metric("postriver_lag_events", GAUGE, "Events that the consumer group has not committed.",
           _lag_by_topic, ("topic",)),
    Metric("postriver_assigned_partitions", GAUGE, "Partitions assigned to this worker.",
           lambda role: role.status.partitions),
)  # fmt: skip

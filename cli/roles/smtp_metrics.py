"""Metrics of an SMTP server, the same for port 25 and for submission."""

from typing import Protocol

from cli.roles.metrics import COUNTER, GAUGE, HISTOGRAM, Metric
from smtp.server.listener import SmtpListeners


class ServingSmtp(Protocol):
    """A part of a process that has an SMTP server."""

    @property
    def server(self) -> SmtpListeners: ...


def smtp_metrics(name: str) -> tuple[Metric[ServingSmtp], ...]:
    """Rows for the server `name`, which is the first word of their names behind `postriver_`."""
    prefix = f"postriver_{name}"
    return (
        Metric(f"{prefix}_accepted_mails", COUNTER, "Mails that got 250.",
               lambda role: role.server.stats.accepted_total),
        Metric(f"{prefix}_accepted_bytes", COUNTER, "Bytes of mails that got 250.",
               lambda role: role.server.stats.accepted_bytes_total),
        Metric(f"{prefix}_connections", COUNTER, "Connections accepted.",
               lambda role: role.server.connections.opened_total),
        Metric(f"{prefix}_refused_connections", COUNTER, "Connections over a limit.",
               lambda role: role.server.connections.refused_total),
        Metric(f"{prefix}_bad_proxy_headers", COUNTER,
               "Connections of trusted proxies closed because the PROXY header was missing or bad.",
               lambda role: role.server.stats.bad_proxy_headers_total),
        Metric(f"{prefix}_tls_connections", COUNTER, "Connections with TLS.",
               lambda role: role.server.stats.tls_total),
        Metric(f"{prefix}_refusals", COUNTER, "Refusals by reply.",
               lambda role: {(reply,): n for reply, n in role.server.stats.refused_total.items()},
               ("reply",)),
        Metric(f"{prefix}_accept_seconds", HISTOGRAM, "Time from DATA to the 250.",
               lambda role: role.server.stats.accept_times),
        Metric(f"{prefix}_open_connections", GAUGE, "Open connections.",
               lambda role: role.server.connections.open),
        Metric(f"{prefix}_held_bytes", GAUGE, "Memory held by mails that are being received.",
               lambda role: role.server.stats.held_bytes),
    )  # fmt: skip

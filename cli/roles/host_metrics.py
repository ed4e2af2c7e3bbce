"""State of the machine for status, readiness, metrics and the doctor.

Everything is read from files and the kernel at each call, in some milliseconds.
"""

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from cli.backup.backup import BACKUP_LOG
from cli.config.config import Config
from cli.wiring.certificates import pair_of
from edge.tls_certificate import BadCertificate
from stack.engines import virus_signatures as signatures
from stack.state_folder import StateFolder
from streams.readers.backlog_gate import GateConfig, least_free_bytes
from streams.topology import TOPICS


@dataclass(frozen=True, slots=True)
class HostMetrics:
    """Warnings and metrics of the machine that one stack runs on."""

    config: Config
    home: StateFolder

    def signatures(self) -> signatures.Signatures:
        """The signatures of the clamd of this machine."""
        update = self.config.signatures == "update"
        return signatures.look(signatures.folder_for(self.home, update=update))

    def warnings(self) -> list[str]:
        """Warnings for the operator that do not make the stack unready."""
        certificate = pair_of(self.config).warnings(time.time())
        signatures = [] if self.config.clamd else self.signatures().warnings()
        return [*signatures, *certificate, *self._low_disk()]

    def _low_disk(self) -> list[str]:
        """Warn at twice the free space below which ingress refuses mail."""
        disk = shutil.disk_usage(self.home.path)
        if disk.free >= 2 * least_free_bytes(GateConfig(folder=self.home.path), disk.total):
            return []
        free_mib = disk.free // 1024**2
        return [f"disk: {free_mib} MiB free at {self.home.path}; at half of that mail is refused"]

    def facts(self) -> dict[str, object]:
        """Return the fields of /status about the machine."""
        if self.config.clamd:  # postriver doctor asks it
            return {"signatures": f"those of {self.config.clamd}", "signatures_age_s": None}
        current = self.signatures()
        return {"signatures": str(current), "signatures_age_s": current.age_s}

    def backup_age_s(self) -> float | None:
        """Return the age of the last backup made on this machine; None if there was no backup."""
        try:
            return max(0.0, time.time() - (self.home.path / BACKUP_LOG).stat().st_mtime)
        except OSError:
            return None

    def certificate_ends_s(self) -> float | None:
        """Return the end of the certificate as Unix time; None if no certificate can be read."""
        try:
            return pair_of(self.config).expires_at_s()
        except BadCertificate:
            return None

    def measures(self) -> Iterable[Metric]:
        """Return the metrics of the machine. Blocks for some milliseconds."""
        disk = shutil.disk_usage(self.home.path)
        yield _gauge(
            "disk_free_bytes", "Free space of the file system with the state folder", disk.free
        )
        yield _gauge("disk_size_bytes", "Size of the file system with the state folder", disk.total)
        yield from self._signatures()
        yield _gauge(
            "certificate_expiry_timestamp_seconds", "End of the TLS certificate, Unix time",
            self.certificate_ends_s(),
        )  # fmt: skip
        yield _gauge(
            "backup_age_seconds", "Age of the last backup made on this machine", self.backup_age_s()
        )
        yield self._topic_sizes()

    def _signatures(self) -> Iterable[Metric]:
        """Kind and age of the signatures; without values if clamd runs elsewhere."""
        found = None if self.config.clamd else self.signatures()
        family = GaugeMetricFamily(
            "postriver_signatures", "1 for the set of virus signatures in use", labels=["set"]
        )
        for name in signatures.KINDS if found else ():
            family.add_metric([name], float(found is not None and name == found.kind))
        yield family
        age_s = found.age_s if found else None
        yield _gauge("signatures_age_seconds", "Age of the virus signatures", age_s)

    def _topic_sizes(self) -> Metric:
        family = GaugeMetricFamily(
            "postriver_topic_size_bytes", "Size on disk, with records that were consumed already",
            labels=["topic"],
        )  # fmt: skip
        for topic in TOPICS:
            folders = (self.home.kafka / "log").glob(f"{topic.name}-[0-9]*")
            family.add_metric([topic.name], sum(map(_size_bytes, folders)))
        return family


def _gauge(name: str, text: str, value: float | None) -> Metric:
    """Return a gauge; without a value only its name is on the page."""
    family = GaugeMetricFamily(f"postriver_{name}", text)
    if value is not None:
        family.add_metric([], value)
    return family


def _size_bytes(folder: Path) -> int:
    """Return the allocated size, since a preallocated index is mostly a hole."""
    total = 0
    for path in folder.glob("*"):
        try:
            total += path.stat().st_blocks * 512
        except OSError:
            continue
    return total

"""What the machine's own state is, for status, readiness, metrics and the doctor.

Everything is read from files and the kernel, anew at each question, in milliseconds.
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
    """Of one stack."""

    config: Config
    home: StateFolder

    def signatures(self) -> signatures.Signatures:
        update = self.config.signatures == "update"
        return signatures.look(signatures.folder_for(self.home, update=update))

    def warnings(self) -> list[str]:
        """What an operator must know even when all is well."""
        certificate = pair_of(self.config).warnings(time.time())
        return [*self.signatures().warnings(), *certificate, *self._low_disk()]

    def _low_disk(self) -> list[str]:
        """A warning at twice the free space at which ingress takes no more mail."""
        disk = shutil.disk_usage(self.home.path)
        if disk.free >= 2 * least_free_bytes(GateConfig(folder=self.home.path), disk.total):
            return []
        free_mib = disk.free // 1024**2
        return [f"disk: {free_mib} MiB free at {self.home.path}; at half of that no mail is taken"]

    def facts(self) -> dict[str, object]:
        """What /status says of the machine."""
        found = self.signatures()
        return {"signatures": str(found), "signatures_age_s": found.age_s}

    def backup_age_s(self) -> float | None:
        """Seconds since a backup was made on this machine; None when none is known."""
        try:
            return max(0.0, time.time() - (self.home.path / BACKUP_LOG).stat().st_mtime)
        except OSError:
            return None

    def certificate_ends_s(self) -> float | None:
        """Unix time; None when there is no certificate that can be read."""
        try:
            return pair_of(self.config).expires_at_s()
        except BadCertificate:
            return None

    def measures(self) -> Iterable[Metric]:
        """What /metrics says of the machine. Blocks for some milliseconds."""
        disk = shutil.disk_usage(self.home.path)
        yield _gauge("disk_free_bytes", "Free where the state lies", disk.free)
        yield _gauge("disk_size_bytes", "Size of that file system", disk.total)
        yield self._set()
        yield _gauge("signatures_age_seconds", "Of the virus signatures", self.signatures().age_s)
        yield _gauge(
            "certificate_expiry_timestamp_seconds", "End of our certificate, Unix time",
            self.certificate_ends_s(),
        )  # fmt: skip
        yield _gauge("backup_age_seconds", "Of the last backup made here", self.backup_age_s())
        yield self._topics()

    def _set(self) -> Metric:
        family = GaugeMetricFamily(
            "postriver_signatures", "1 for the set of virus signatures in use", labels=["set"]
        )
        kind = self.signatures().kind
        for each in signatures.KINDS:
            family.add_metric([each], float(each == kind))
        return family

    def _topics(self) -> Metric:
        family = GaugeMetricFamily(
            "postriver_topic_size_bytes", "On disk, what is kept behind readers included",
            labels=["topic"],
        )  # fmt: skip
        for topic in TOPICS:
            folders = (self.home.kafka / "log").glob(f"{topic.name}-[0-9]*")
            family.add_metric([topic.name], sum(map(_size_bytes, folders)))
        return family


def _gauge(name: str, text: str, value: float | None) -> Metric:
    """Without a value the name is there and no figure."""
    family = GaugeMetricFamily(f"postriver_{name}", text)
    if value is not None:
        family.add_metric([], value)
    return family


def _size_bytes(folder: Path) -> int:
    """Blocks on disk, since a preallocated index is mostly a hole; files may go meanwhile."""
    total = 0
    for path in folder.glob("*"):
        try:
            total += path.stat().st_blocks * 512
        except OSError:
            continue
    return total

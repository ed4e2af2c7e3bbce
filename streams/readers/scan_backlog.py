"""Backlog of the scanners: mails that wait for them, and mails that they have scanned."""

from mail.ports import ScanLog, ScanProgress
from streams.readers.lag import LagMeter
from streams.topology import GROUP_PREFIX, STAGES


class KafkaScanLog(ScanLog):
    """The ScanLog port over Kafka."""

    def __init__(self, meter: LagMeter) -> None:
        stages = {stage.name: (GROUP_PREFIX + stage.role, stage.reads) for stage in STAGES}
        self._validate, self._scan = stages["validate"], stages["scan"]
        self._meter = meter

    async def progress(self) -> ScanProgress:
        lags = await self._meter.read(
            {group: [topic] for group, topic in (self._validate, self._scan)}
        )
        waiting = sum(lag for topics in lags.values() for lag in topics.values())
        return ScanProgress(waiting=waiting, scanned=await self._meter.position(*self._scan))

"""How much mail waits for the scanners, and how much has passed them, read from the log."""

from mail.ports import ScanProgress
from streams.readers.lag import LagMeter
from streams.topology import GROUP_PREFIX, STAGES


class KafkaScanLog:
    """The ScanLog port: two readings of the broker. BrokerUnavailable."""

    def __init__(self, meter: LagMeter) -> None:
        stages = {stage.name: (GROUP_PREFIX + stage.role, stage.reads) for stage in STAGES}
        self._before, self._scan = stages["validate"], stages["scan"]
        self._meter = meter

    async def progress(self) -> ScanProgress:
        lags = await self._meter.read(
            {group: [topic] for group, topic in (self._before, self._scan)}
        )
        waiting = sum(lag for topics in lags.values() for lag in topics.values())
        return ScanProgress(waiting=waiting, scanned=await self._meter.position(*self._scan))

"""Contract of the ScanLog port.

Fixtures: `scan_log`, over a log where 3 mails wait for the scanners and 5 have passed them;
`unreachable_scan_log`.
"""

import pytest

from mail.errors import BrokerUnavailable
from mail.ports import ScanProgress


class ScanLogContract:
    async def test_progress_counts_waiting_and_scanned_mails(self, scan_log):
        assert await scan_log.progress() == ScanProgress(waiting=3, scanned=5)

    async def test_an_unreachable_log_raises_broker_unavailable(self, unreachable_scan_log):
        with pytest.raises(BrokerUnavailable):
            await unreachable_scan_log.progress()

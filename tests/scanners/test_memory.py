import pytest

from mail.errors import Unscannable
from mail.ports import SpamReport
from scanners.memory import MemorySpamScanner, MemoryVirusScanner
from tests.contracts.scanner_mails import CLEAN, Outage
from tests.contracts.spam_scanner import SpamScannerContract
from tests.contracts.virus_scanner import VirusScannerContract


class _MemoryOutage:
    @pytest.fixture
    def outage(self, scanner):
        return Outage(
            begin=lambda: setattr(scanner, "down", True),
            end=lambda: setattr(scanner, "down", False),
        )


class TestMemoryVirusScanner(_MemoryOutage, VirusScannerContract):
    @pytest.fixture
    def scanner(self):
        return MemoryVirusScanner()

    async def test_a_script_comes_first(self, scanner):
        scanner.script.append(Unscannable("odd"))
        with pytest.raises(Unscannable):
            await scanner.scan(CLEAN)
        assert (await scanner.scan(CLEAN)).virus == ""
        assert scanner.scanned == [CLEAN, CLEAN]


class TestMemorySpamScanner(_MemoryOutage, SpamScannerContract):
    @pytest.fixture
    def scanner(self):
        return MemorySpamScanner()

    async def test_a_script_comes_first(self, scanner):
        scripted = SpamReport(score=7.0, tests=("X",), rules="r", scanned_bytes=1)
        scanner.script.append(scripted)
        assert await scanner.check(CLEAN) == scripted
        assert (await scanner.check(CLEAN)).score == 0.0

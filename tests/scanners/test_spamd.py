"""SpamdScanner with a real spamd: the contract, crashes and hangs."""

import asyncio
import signal

import pytest

from mail.errors import ScannerUnavailable
from scanners.spamd import SpamdScanner, SpamdScannerConfig
from tests.contracts.scanner_mails import CLEAN, SPAM
from tests.contracts.spam_scanner import SpamScannerContract

pytestmark = pytest.mark.engines


def scanner_of(engine, **settings) -> SpamdScanner:
    return SpamdScanner(SpamdScannerConfig(address=engine.path, **settings))


class TestSpamdScanner(SpamScannerContract):
    @pytest.fixture
    def scanner(self, spamd_engine):
        return scanner_of(spamd_engine)

    @pytest.fixture
    def outage(self, spamd_engine):
        return spamd_engine.outage()

    async def test_the_rules_are_named_by_the_engine(self, scanner):
        assert (await scanner.check(CLEAN)).rules.startswith("SpamAssassin ")

    async def test_killed_while_checking_is_unavailable_and_the_next_one_answers(
        self, scanner, spamd_engine
    ):
        await scanner.check(CLEAN)
        spamd_engine.signal_all(signal.SIGSTOP)
        checks = [asyncio.create_task(scanner.check(SPAM)) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert not any(check.done() for check in checks)
        spamd_engine.kill()
        outcomes = await asyncio.gather(*checks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {ScannerUnavailable}
        spamd_engine.start()
        assert "GTUBE" in (await scanner.check(SPAM)).tests

    async def test_an_engine_that_hangs_is_unavailable_within_the_bound(self, spamd_engine):
        scanner = scanner_of(spamd_engine, timeout_s=0.3)
        spamd_engine.signal_all(signal.SIGSTOP)
        try:
            with pytest.raises(ScannerUnavailable, match="no answer within"):
                await scanner.check(CLEAN)
        finally:
            spamd_engine.signal_all(signal.SIGCONT)
        assert "GTUBE" in (await scanner_of(spamd_engine).check(SPAM)).tests

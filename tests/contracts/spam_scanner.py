"""What every SpamScanner does: give `scanner` and `outage` fixtures."""

import asyncio
import math

import pytest

from mail.errors import ScannerUnavailable
from tests.contracts.scanner_mails import CLEAN, ODD, SPAM

SCANNED_MAX_BYTES = 512 * 1024
LINES = b"The quick brown fox jumps over the lazy dog while nobody is looking.\r\n"
LONG = CLEAN + LINES * (SCANNED_MAX_BYTES // len(LINES) + 1)


class SpamScannerContract:
    async def test_a_plain_mail_scores_low(self, scanner):
        report = await scanner.check(CLEAN)
        assert report.score < 5.0
        assert report.rules
        assert report.scanned_bytes == len(CLEAN)

    async def test_the_test_spam_scores_over_every_threshold(self, scanner):
        report = await scanner.check(SPAM)
        assert report.score > 900.0
        assert "GTUBE" in report.tests
        assert report.rules

    @pytest.mark.parametrize("name", ODD)
    async def test_odd_content_gets_a_score(self, scanner, name):
        report = await scanner.check(ODD[name])
        assert math.isfinite(report.score)
        assert all(test and "," not in test for test in report.tests)
        assert report.scanned_bytes == len(ODD[name])

    async def test_a_long_mail_is_judged_by_its_beginning(self, scanner):
        report = await scanner.check(LONG + SPAM)
        assert report.scanned_bytes == SCANNED_MAX_BYTES
        assert "GTUBE" not in report.tests
        assert report.score < 900.0

    async def test_many_at_once_keep_their_own_answers(self, scanner):
        reports = await asyncio.gather(*(scanner.check(SPAM if n % 2 else CLEAN) for n in range(8)))
        assert ["GTUBE" in report.tests for report in reports] == [False, True] * 4

    async def test_without_the_engine_it_is_unavailable_until_it_returns(self, scanner, outage):
        await scanner.check(CLEAN)
        outage.begin()
        for _ in range(2):
            with pytest.raises(ScannerUnavailable) as caught:
                await scanner.check(SPAM)
            assert caught.value.engine == "spamd"
        outage.end()
        report = await scanner.check(SPAM)
        assert "GTUBE" in report.tests
        assert report.rules

"""ClamdScanner with a real clamd: the contract, archives, limits, crashes and hangs."""

import asyncio
import io
import signal
import zipfile

import pytest

from mail.errors import ScannerUnavailable, Unscannable
from mail.mime.parse_requests import TEXT_MAX_CHARS, read_forms
from scanners.clamd import ClamdScanner, ClamdScannerConfig
from scanners.memory import EICAR
from tests.contracts import wrapped
from tests.contracts.scanner_mails import CLEAN, INFECTED, with_attachment
from tests.contracts.virus_scanner import VirusScannerContract

pytestmark = pytest.mark.engines


def scanner_of(engine, **settings) -> ClamdScanner:
    return ClamdScanner(ClamdScannerConfig(address=engine.path, **settings))


class TestClamdScanner(VirusScannerContract):
    @pytest.fixture
    def scanner(self, clamd_engine):
        return scanner_of(clamd_engine)

    @pytest.fixture
    def outage(self, clamd_engine):
        return clamd_engine.outage()

    async def test_a_virus_in_an_archive_is_found(self, scanner):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("test.com", EICAR)
        assert (await scanner.scan(with_attachment(packed.getvalue()))).virus

    async def test_over_the_stream_limit_is_unscannable_and_the_next_mail_is_scanned(self, scanner):
        """clamd answers and closes while the client is still sending."""
        with pytest.raises(Unscannable, match="size limit"):
            await scanner.scan(CLEAN + b"x" * (52 * 1024 * 1024))
        assert (await scanner.scan(INFECTED)).virus

    async def test_a_limit_of_the_scan_is_unscannable_not_infected(self, narrow_clamd):
        scanner = scanner_of(narrow_clamd)
        with pytest.raises(Unscannable, match=r"Limits\.Exceeded"):
            await scanner.scan(with_attachment(b"filling " * 400_000))
        assert (await scanner.scan(CLEAN)).virus == ""

    @pytest.mark.parametrize("name", [*wrapped.INFECTED_FILES, *wrapped.INFECTED_TEXTS])
    async def test_whatever_way_it_is_wrapped_nothing_infected_is_handed_out(self, scanner, name):
        mail = {**wrapped.INFECTED_FILES, **wrapped.INFECTED_TEXTS}[name]
        forms = read_forms(mail, text_max_chars=TEXT_MAX_CHARS)
        found = (await scanner.scan(mail)).virus or (await scanner.scan_forms(forms)).virus
        assert found or EICAR not in b"".join(forms)

    async def test_an_encrypted_archive_in_a_mail_is_reported(self, scanner):
        report = await scanner.scan(wrapped.ENCRYPTED)
        assert (report.virus, report.encrypted) == ("", True)

    async def test_forms_that_take_too_long_make_the_mail_unscannable(self, clamd_engine):
        scanner = scanner_of(clamd_engine, forms_timeout_s=0.01)
        with pytest.raises(Unscannable, match="take more than"):
            await scanner.scan_forms([bytes(range(256)) * 20_000] * 8)

    async def test_a_limit_in_one_form_is_unscannable_unless_another_form_has_a_virus(
        self, narrow_clamd
    ):
        scanner = scanner_of(narrow_clamd)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("big", b"filling " * 400_000)
        with pytest.raises(Unscannable, match=r"Limits\.Exceeded"):
            await scanner.scan_forms([b"x", packed.getvalue()])
        assert (await scanner.scan_forms([packed.getvalue(), EICAR])).virus

    async def test_killed_while_scanning_is_unavailable_and_the_next_one_answers(
        self, scanner, clamd_engine
    ):
        clamd_engine.signal_all(signal.SIGSTOP)
        scans = [asyncio.create_task(scanner.scan(INFECTED)) for _ in range(6)]
        await asyncio.sleep(0.1)
        assert not any(scan.done() for scan in scans)
        clamd_engine.kill()
        outcomes = await asyncio.gather(*scans, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {ScannerUnavailable}
        clamd_engine.start()
        assert (await scanner.scan(INFECTED)).virus

    async def test_an_engine_that_hangs_is_unavailable_within_the_bound(self, clamd_engine):
        scanner = scanner_of(clamd_engine, timeout_s=0.3)
        clamd_engine.signal_all(signal.SIGSTOP)
        try:
            with pytest.raises(ScannerUnavailable, match="no answer within"):
                await scanner.scan(CLEAN + b"x" * 1_000_000)
        finally:
            clamd_engine.signal_all(signal.SIGCONT)
        patient = scanner_of(clamd_engine)
        assert (await patient.scan(INFECTED)).virus

"""What every VirusScanner does: give `scanner` and `outage` fixtures."""

import asyncio

import pytest

from mail.errors import ScannerUnavailable
from scanners.memory import EICAR
from tests.contracts.scanner_mails import CLEAN, HEAD, INFECTED, ODD, with_attachment
from tests.contracts.wrapped import ENCRYPTED_AND_INFECTED, encrypted_zip


class VirusScannerContract:
    async def test_a_clean_mail_has_no_virus_and_names_the_signatures(self, scanner):
        report = await scanner.scan(CLEAN)
        assert report.virus == ""
        assert report.signatures
        assert report.signatures == await scanner.signatures()

    @pytest.mark.parametrize(
        "mail", [INFECTED, HEAD + b"\r\n" + EICAR + b"\r\n", EICAR], ids=["part", "body", "bare"]
    )
    async def test_the_test_virus_is_found(self, scanner, mail):
        report = await scanner.scan(mail)
        assert "eicar" in report.virus.lower()
        assert report.signatures

    @pytest.mark.parametrize("name", ODD)
    async def test_odd_content_is_scanned(self, scanner, name):
        assert (await scanner.scan(ODD[name])).virus == ""

    async def test_twenty_megabytes_are_scanned_to_the_end(self, scanner):
        filling = bytes(range(256)) * (20 * 1024 * 1024 // 256 * 3 // 4)
        mail = with_attachment(filling)
        assert len(mail) > 20_000_000
        assert (await scanner.scan(mail)).virus == ""
        infected = mail.removesuffix(b"--b--\r\n") + INFECTED[INFECTED.index(b"--b\r\n") :]
        assert (await scanner.scan(infected)).virus

    async def test_a_virus_in_any_form_is_found_and_clean_forms_are_clean(self, scanner):
        clean = [b"", b"x", *(b"form %d" % n for n in range(1000))]
        report = await scanner.scan_forms(clean)
        assert (report.virus, report.encrypted) == ("", False)
        assert report.signatures == await scanner.signatures()
        for at in (0, 500, len(clean)):
            forms = [*clean[:at], EICAR, *clean[at:]]
            assert "eicar" in (await scanner.scan_forms(forms)).virus.lower()

    async def test_an_encrypted_archive_is_told_and_is_no_virus(self, scanner):
        packed = encrypted_zip()
        for report in (await scanner.scan(packed), await scanner.scan_forms([b"x", packed])):
            assert (report.virus, report.encrypted) == ("", True)

    async def test_a_virus_beside_an_encrypted_archive_is_found(self, scanner):
        assert (await scanner.scan(ENCRYPTED_AND_INFECTED)).virus
        assert (await scanner.scan_forms([encrypted_zip(), EICAR])).virus

    async def test_many_at_once_keep_their_own_answers(self, scanner):
        mails = [INFECTED if n % 3 == 0 else CLEAN + b"%d\r\n" % n for n in range(40)]
        reports = await asyncio.gather(*map(scanner.scan, mails))
        assert [bool(report.virus) for report in reports] == [n % 3 == 0 for n in range(40)]

    async def test_without_the_engine_it_is_unavailable_until_it_returns(self, scanner, outage):
        await scanner.scan(CLEAN)
        outage.begin()
        for _ in range(2):
            with pytest.raises(ScannerUnavailable) as caught:
                await scanner.scan(INFECTED)
            assert caught.value.engine == "clamd"
        with pytest.raises(ScannerUnavailable):
            await scanner.scan_forms([b"x"])
        with pytest.raises(ScannerUnavailable):
            await scanner.signatures()
        outage.end()
        assert (await scanner.scan(INFECTED)).virus
        assert await scanner.signatures()

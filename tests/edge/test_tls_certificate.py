"""The certificate on disk: made once, taken when it changes, kept when the new one is broken."""

import asyncio
import shutil
import ssl
import stat
import time
from pathlib import Path

import pytest
from cryptography import x509

from edge.self_signed_certificate import ensure_own
from edge.tls_certificate import BadCertificate, Certificate, CertificatePaths, context


def names(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return found.value.get_values_for_type(x509.DNSName)


def test_a_certificate_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    pair = ensure_own(folder, "mx.example")
    before = pair.certificate.read_bytes(), pair.key.read_bytes()
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    ensure_own(folder, "other.example")
    assert (pair.certificate.read_bytes(), pair.key.read_bytes()) == before
    assert names(pair.leaf()) == ["mx.example"]
    assert pair.warnings(time.time()) == []


def test_a_half_made_pair_is_made_anew(tmp_path: Path) -> None:
    ensure_own(tmp_path, "mx.example").certificate.unlink()
    context(ensure_own(tmp_path, "mx.example"))


def test_a_pair_that_is_none_is_named(tmp_path: Path) -> None:
    one, other = ensure_own(tmp_path / "a", "a.example"), ensure_own(tmp_path / "b", "b.example")
    mixed = CertificatePaths(one.certificate, other.key)
    for bad in (
        mixed,
        CertificatePaths(one.key, one.key),
        CertificatePaths(tmp_path / "none.pem", one.key),
    ):
        with pytest.raises(BadCertificate, match=str(bad.certificate)):
            context(bad)
        assert bad.warnings(time.time())


def test_the_end_of_a_certificate_is_told_two_weeks_before(tmp_path: Path) -> None:
    pair = ensure_own(tmp_path, "mx.example")
    ends_at_s = pair.expires_at_s()
    assert "in 13 days" in pair.warnings(ends_at_s - 13 * 86_400)[0]
    assert "has expired" in pair.warnings(ends_at_s + 1)[0]


class Server:
    """Handshakes against the context of the certificate."""

    def __init__(self, certificate: Certificate) -> None:
        self.certificate = certificate

    async def presented(self) -> list[str]:
        client = ssl.create_default_context()
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        server = await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=self.certificate.context
        )
        async with server:
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
            der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
            await writer.wait_closed()
        return names(x509.load_der_x509_certificate(der))


async def test_a_changed_pair_is_taken_and_a_broken_one_is_not(tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO")
    live, fresh = ensure_own(tmp_path / "live", "old"), ensure_own(tmp_path / "fresh", "new")
    certificate = Certificate(live)
    server = Server(certificate)
    assert await server.presented() == ["old"]

    async def look() -> None:
        for _ in range(3):
            await certificate.reload_if_changed()

    shutil.copy(fresh.certificate, live.certificate)  # the key is still the old one's
    await certificate.reload_if_changed()
    assert "not used" not in caplog.text, "files that are just being changed are no reason to cry"
    await look()
    assert await server.presented() == ["old"]
    assert caplog.text.count("not used") == 1
    shutil.copy(fresh.key, live.key)
    await look()
    assert await server.presented() == ["new"]
    live.certificate.write_text("no certificate at all")
    await look()
    live.key.unlink()
    await look()
    assert await server.presented() == ["new"]
    assert caplog.text.count("not used") == 3

"""The certificate of STARTTLS and HTTPS: read, checked, and read again when its files change.

Handshakes under way and open connections keep what they began with; the next one gets the new
pair. A pair that cannot be used changes nothing: the one in use stays, and the log says why.
"""

import datetime as dt
import hashlib
import logging
import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mail.errors import Refused

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
WARN_BEFORE_DAYS = 14
_PEM_MAX_BYTES = 1024 * 1024


class BadCertificate(Refused):
    """A pair that cannot be used; the message names the file and says why."""


@dataclass(frozen=True, slots=True)
class CertificatePaths:
    """PEM files: the certificate with its chain, and the key, without a passphrase."""

    certificate: Path
    key: Path

    def leaf(self) -> x509.Certificate:
        """The first certificate of the chain. BadCertificate."""
        return _leaf(self.certificate, _read(self.certificate))

    def sha256(self) -> bytes:
        """Of the certificate in DER: what a client of ours knows this server by."""
        return hashlib.sha256(self.leaf().public_bytes(Encoding.DER)).digest()

    def expires_at_s(self) -> float:
        """Unix time. BadCertificate."""
        return self.leaf().not_valid_after_utc.timestamp()

    def warnings(self, now_s: float) -> list[str]:
        """What the operator must know of these files; none when all is well."""
        try:
            context(self)
            left_days = (self.expires_at_s() - now_s) / 86_400
        except BadCertificate as error:
            return [f"TLS: {error}"]
        if left_days >= WARN_BEFORE_DAYS:
            return []
        when = f"expires in {left_days:.0f} days" if left_days > 0 else "has expired"
        return [f"TLS: the certificate {self.certificate} {when}; put a new one in its place"]


def context(pair: CertificatePaths) -> ssl.SSLContext:
    """For a server, TLS 1.2 or newer, presenting `pair`. BadCertificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    _present(made, pair, _read(pair.certificate), _read(pair.key))
    return made


class Certificate:
    """What a server presents: `context` is one object for as long as the process lives."""

    def __init__(self, pair: CertificatePaths) -> None:
        """BadCertificate: it cannot be used."""
        self._pair = pair
        self._seen = self._tried = _stamp(pair)
        self.context = context(pair)

    async def look(self) -> None:
        """Take a changed pair, once its files have been still for a look: they come one by one."""
        stamp = _stamp(self._pair)
        still, self._seen = stamp == self._seen, stamp
        if not still or stamp == self._tried:
            return
        self._tried = stamp
        try:
            self._renew()
        except BadCertificate as error:
            log.warning("the new certificate is not used, the one before stays: %s", error)
        else:
            log.info("the new certificate is in use: %s", self._pair.certificate)

    def _renew(self) -> None:
        """All or nothing: what was read is tried on a context of its own first."""
        certificate, key = _read(self._pair.certificate), _read(self._pair.key)
        if _leaf(self._pair.certificate, certificate).not_valid_after_utc < dt.datetime.now(dt.UTC):
            raise BadCertificate(f"{self._pair.certificate}: it has expired")
        for each in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
            _present(each, self._pair, certificate, key)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_PEM_MAX_BYTES)
    except OSError as error:
        raise BadCertificate(f"{path}: {error.strerror}") from error


def _leaf(path: Path, pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise BadCertificate(f"{path}: no certificate in PEM") from error


def _present(made: ssl.SSLContext, pair: CertificatePaths, certificate: bytes, key: bytes) -> None:
    """OpenSSL reads files only; these are memory, so that both reads are of the same bytes."""
    with _MemoryFile(certificate) as chain_file, _MemoryFile(key) as key_file:
        try:
            made.load_cert_chain(chain_file, key_file, password="")
        except (ssl.SSLError, ValueError) as error:
            why = f"not a pair of certificate and unprotected key: {error}"
            raise BadCertificate(f"{pair.certificate}, {pair.key}: {why}") from error


class _MemoryFile:
    def __init__(self, content: bytes) -> None:
        self._descriptor = os.memfd_create("pem")
        os.write(self._descriptor, content)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._descriptor}"

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _stamp(pair: CertificatePaths) -> tuple[tuple[int, int, int] | None, ...]:
    """Changes whenever a file does, or is another one behind a link."""
    return tuple(map(_file_stamp, (pair.certificate, pair.key)))


def _file_stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)

"""TLS certificate of STARTTLS and HTTPS, reloaded when its files change.

A reload applies to later handshakes; open connections keep their certificate. A pair of files that
cannot be used is logged and ignored: the certificate in use stays.
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

CHECK_EVERY_S = 5.0
WARN_BEFORE_DAYS = 14
_PEM_MAX_BYTES = 1024 * 1024


class BadCertificate(Refused):
    """The pair cannot be used. The message names the file and the reason."""


@dataclass(frozen=True, slots=True)
class CertificatePaths:
    """PEM files: the certificate with its chain, and the key without a passphrase."""

    certificate: Path
    key: Path

    def leaf(self) -> x509.Certificate:
        """The first certificate of the chain. Raises BadCertificate."""
        return _leaf(self.certificate, _read(self.certificate))

    def sha256(self) -> bytes:
        """SHA-256 of the certificate in DER, by which our own clients identify this server."""
        return hashlib.sha256(self.leaf().public_bytes(Encoding.DER)).digest()

    def expires_at_s(self) -> float:
        """The end of its validity, Unix time. Raises BadCertificate."""
        return self.leaf().not_valid_after_utc.timestamp()

    def warnings(self, now_s: float) -> list[str]:
        """Warnings for the operator: unusable, expired, or expiring within WARN_BEFORE_DAYS."""
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
    """A server context of TLS 1.2 or newer that presents `pair`. Raises BadCertificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    _present(tls, pair, _read(pair.certificate), _read(pair.key))
    return tls


class Certificate:
    """The certificate of a server. `context` is one object for the life of the process."""

    def __init__(self, pair: CertificatePaths) -> None:
        """Load `pair`. Raises BadCertificate."""
        self._pair = pair
        self._seen = self._tried = _stamp(pair)
        self.context = context(pair)

    async def reload_if_changed(self) -> None:
        """Reload a changed pair; called every CHECK_EVERY_S.

        Files are replaced one by one: a change is loaded once two checks find the same files.
        """
        stamp = _stamp(self._pair)
        is_stable, self._seen = stamp == self._seen, stamp
        if not is_stable or stamp == self._tried:
            return
        self._tried = stamp
        try:
            self._reload()
        except BadCertificate as error:
            log.warning("the new certificate is not used, the one before stays: %s", error)
        else:
            log.info("the new certificate is in use: %s", self._pair.certificate)

    def _reload(self) -> None:
        """Load the pair into `context`, after a trial on a context that is thrown away.

        Raises BadCertificate, also for an expired certificate; then `context` is unchanged.
        """
        certificate, key = _read(self._pair.certificate), _read(self._pair.key)
        if _leaf(self._pair.certificate, certificate).not_valid_after_utc < dt.datetime.now(dt.UTC):
            raise BadCertificate(f"{self._pair.certificate}: it has expired")
        for tls in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
            _present(tls, self._pair, certificate, key)


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


def _present(tls: ssl.SSLContext, pair: CertificatePaths, certificate: bytes, key: bytes) -> None:
    """Load `certificate` and `key` into `tls`.

    OpenSSL reads files only. Files in memory hold the bytes that were checked before.
    """
    with _MemoryFile(certificate) as chain_file, _MemoryFile(key) as key_file:
        try:
            tls.load_cert_chain(chain_file, key_file, password="")
        except (ssl.SSLError, ValueError) as error:
            reason = f"not a pair of certificate and unprotected key: {error}"
            raise BadCertificate(f"{pair.certificate}, {pair.key}: {reason}") from error


class _MemoryFile:
    """A file in memory; the block gets its path."""

    def __init__(self, content: bytes) -> None:
        self._descriptor = os.memfd_create("pem")
        os.write(self._descriptor, content)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._descriptor}"

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _stamp(pair: CertificatePaths) -> tuple[tuple[int, int, int] | None, ...]:
    """Inode, mtime and size of both files: differs after a change, also of a link's target."""
    return tuple(map(_file_stamp, (pair.certificate, pair.key)))


def _file_stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)

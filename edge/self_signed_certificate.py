"""Self-signed certificate, used until the operator configures another."""

import datetime as dt
import fcntl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.tls_certificate import CertificatePaths
from mail.durable_files import write_new_file

CERTIFICATE = "cert.pem"
KEY = "key.pem"
_VALID_DAYS = 3650
_CN_MAX_CHARS = 64  # RFC 5280 appendix A, ub-common-name


def ensure_own(folder: Path, hostname: str) -> CertificatePaths:
    """The certificate and key in `folder`, created self-signed when either is missing.

    An existing pair is kept. A lock file makes concurrent processes create a single pair. Raises
    OSError: the folder cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pair = CertificatePaths(folder / CERTIFICATE, folder / KEY)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (pair.certificate.exists() and pair.key.exists()):
            _create(pair.certificate, pair.key, hostname)
    return pair


def _create(certificate: Path, key: Path, hostname: str) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(key, pem, mode=0o600)
    signed = _self_signed(private, hostname)
    _write(certificate, signed.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _self_signed(private: ec.EllipticCurvePrivateKey, hostname: str) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:_CN_MAX_CHARS])])
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=_VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """Write atomically: a process killed meanwhile leaves no partial file under this name."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    write_new_file(temporary, content, mode=mode)
    temporary.replace(path)

"""A certificate of an engine that runs elsewhere in a test: for localhost, by name and address."""

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """PEM files. The certificate is self-signed, so that it is its own CA."""

    certificate: Path
    key: Path
    both: Path  # key and certificate, as Java reads them

    def trusted(self) -> ssl.SSLContext:
        """What a client needs to accept it."""
        return ssl.create_default_context(cafile=self.certificate)


def make_certificate(folder: Path) -> ServerCertificate:
    folder.mkdir(parents=True, exist_ok=True)
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    made = ServerCertificate(folder / "cert.pem", folder / "key.pem", folder / "both.pem")
    key = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate = signed.public_bytes(serialization.Encoding.PEM)
    made.certificate.write_bytes(certificate)
    made.key.write_bytes(key)
    made.both.write_bytes(key + certificate)
    return made

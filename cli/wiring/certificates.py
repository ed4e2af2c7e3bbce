"""The TLS certificate that a process presents, by the settings."""

from contextlib import AbstractAsyncContextManager

from cli.config.config import Config
from edge.self_signed_certificate import CERTIFICATE, KEY, ensure_own
from edge.tls_certificate import LOOK_EVERY_S, Certificate, CertificatePaths
from mail.lifecycle import repeating


def pair_of(config: Config) -> CertificatePaths:
    """The operator's certificate and key, else our own, which is perhaps not made yet."""
    if config.tls_cert and config.tls_key:
        return CertificatePaths(config.tls_cert, config.tls_key)
    return CertificatePaths(config.home / "tls" / CERTIFICATE, config.home / "tls" / KEY)


def certificate_of(config: Config) -> Certificate:
    """Ready to be presented; our own is made when there is none. BadCertificate: of no use."""
    if config.tls_cert is None:
        ensure_own(config.home / "tls", config.hostname)
    return Certificate(pair_of(config))


def presenting(certificate: Certificate) -> AbstractAsyncContextManager[None]:
    """Within the block, a new certificate is taken soon after its files have changed."""
    return repeating("certificate", certificate.look, LOOK_EVERY_S)

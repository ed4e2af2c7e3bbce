"""TLS certificate of ingress, api, msa and pop3, by the settings."""

from contextlib import AbstractAsyncContextManager

from cli.config.config import Config
from edge.self_signed_certificate import CERTIFICATE, KEY, ensure_own
from edge.tls_certificate import CHECK_EVERY_S, Certificate, CertificatePaths
from mail.lifecycle import repeating


def pair_of(config: Config) -> CertificatePaths:
    """Return the paths of the configured pair, else of the self-signed pair (if it exists)."""
    if config.tls_cert and config.tls_key:
        return CertificatePaths(config.tls_cert, config.tls_key)
    return CertificatePaths(config.home / "tls" / CERTIFICATE, config.home / "tls" / KEY)


def certificate_of(config: Config) -> Certificate:
    """Load the certificate; create the self-signed pair if no pair is configured.

    Raises BadCertificate: the pair cannot be used.
    """
    if config.tls_cert is None:
        ensure_own(config.home / "tls", config.hostname)
    return Certificate(pair_of(config))


def presenting(certificate: Certificate) -> AbstractAsyncContextManager[None]:
    """Within the block, reload the certificate within CHECK_EVERY_S of a change of its files."""
    return repeating("certificate", certificate.reload_if_changed, CHECK_EVERY_S)

"""Settings of the submission server; cli builds them from the environment."""

from dataclasses import dataclass

from smtp.server.config import MIB, SmtpConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionConfig(SmtpConfig):
    """Limits that the server has besides those of SmtpConfig, or with other values."""

    port: int = 2587  # with STARTTLS; 0: a free port, given by SubmissionServer.port
    tls_port: int = 2465  # TLS from the first byte; 0: as above, SubmissionServer.tls_port
    tls_descriptors: tuple[int, ...] = ()
    worker: str = "msa"

    held_max_bytes: int = 256 * MIB  # a mail takes up to three times its size once it is read
    sign_in_failures_max: int = 3  # in one connection
    sign_in_s: float = 120.0  # silence before the sign-in
    hold_max_s: int = 366 * 86_400  # of HOLDFOR and HOLDUNTIL (RFC 4865)
    unknown_max: int = 100  # recipients that are refused in one connection

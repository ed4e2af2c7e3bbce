"""Settings of the SMTP client; cli builds them from the environment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """Every limit of the SMTP client, with its unit. docs/limits.md lists them for operators."""

    hostname: str  # in EHLO; should resolve to this host (RFC 5321 §4.1.4)
    port: int = 25  # of the mail hosts of domains
    tls_required: frozenset[str] = frozenset()  # domains (A-labels) sent to under verified TLS only
    ca_file: str = ""  # PEM of the trusted authorities; "": those of the system

    connect_s: float = 30.0
    greeting_s: float = 300.0  # RFC 5321 §4.5.3.2.1
    command_s: float = 300.0  # EHLO, MAIL, RCPT (§4.5.3.2.2, §4.5.3.2.3), STARTTLS, AUTH, RSET
    tls_handshake_s: float = 60.0
    data_s: float = 120.0  # for the reply to DATA (§4.5.3.2.4)
    block_s: float = 180.0  # for the peer to take a block of content (§4.5.3.2.5)
    content_s: float = 3600.0  # for the whole content
    final_dot_s: float = 600.0  # for the reply to the final dot (§4.5.3.2.6)
    quit_s: float = 5.0

    reply_line_max_bytes: int = 4096  # RFC 5321 §4.5.3.1.5 asks for 512
    reply_max_bytes: int = 64 * 1024  # of all lines of one reply
    block_bytes: int = 64 * 1024  # of content, read and sent at once

    connections_max: int = 200
    connections_per_domain_max: int = 10
    connections_per_host_max: int = 10  # one IP address
    slot_wait_s: float = 60.0  # for a connection within these limits
    idle_s: float = 10.0  # for which a session is kept for another mail
    idle_max: int = 100  # sessions that are kept
    transactions_max: int = 100  # of one session
    addresses_max: int = 5  # that one transmission connects to
    sessions_max: int = 2  # in which one transmission is tried: 4yz replies lead to the next host

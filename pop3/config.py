"""Settings of the POP3 server; cli builds them from the environment."""

from dataclasses import dataclass

from edge.trusted_networks import NONE, Networks


@dataclass(frozen=True, slots=True, kw_only=True)
class Pop3Config:
    """Every limit of the POP3 server, with its unit. docs/limits.md lists them for operators."""

    hostname: str  # in the greeting and in the certificate
    host: str = "127.0.0.1"
    port: int = 2110  # with STLS; 0: a free port, given by Pop3Server.port
    tls_port: int = 2995  # TLS from the first byte; 0: a free port, given by Pop3Server.tls_port
    descriptors: tuple[int, ...] = ()  # inherited listening sockets, instead of host and port
    tls_descriptors: tuple[int, ...] = ()
    reuse_port: bool = False  # several pop3 processes behind each port
    proxies: Networks = NONE  # connections from here to `port` begin with a PROXY header
    in_clear: bool = False  # True: passwords without TLS from beyond the loopback too

    connections_max: int = 500
    connections_per_peer_max: int = 50
    messages_max: int = 1_000_000  # in the views of all sessions; each takes about 100 bytes

    proxy_header_s: float = 4.0  # for the PROXY header of a trusted proxy
    tls_handshake_s: float = 30.0
    sign_in_s: float = 600.0  # from the greeting to the sign-in
    idle_s: float = 600.0  # RFC 1939 §3 asks for at least 10 minutes
    send_s: float = 120.0  # for a client to take `piece_bytes`
    linger_s: float = 2.0  # for a client to read the last reply before the connection is aborted
    stop_grace_s: float = 15.0  # for deletions in progress when the server stops
    check_s: float = 30.0  # between checks that passwords in use are still valid

    piece_bytes: int = 64 * 1024  # of one read from the content store and of the send buffer
    bad_commands_max: int = 20  # in one connection
    sign_in_failures_max: int = 3  # in one connection
    chatter_max: int = 1_000  # CAPA, NOOP, RSET, STAT, whole lists, ... since the last message

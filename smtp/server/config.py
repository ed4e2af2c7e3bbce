"""Settings of the SMTP server; cli builds them from the environment."""

from dataclasses import dataclass

from edge.trusted_networks import NONE, Networks
from schemas.content import CONTENT_INLINE_MAX_BYTES

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpConfig:
    """Every limit of the SMTP server, with its unit. docs/limits.md lists them for operators."""

    hostname: str  # in the greeting, in Received: and in the certificate
    host: str = "127.0.0.1"
    port: int = 2525  # 0: a free port, given by SmtpServer.port
    descriptors: tuple[int, ...] = ()  # inherited listening sockets, instead of host and port
    reuse_port: bool = False  # several ingress processes behind one port
    proxies: Networks = NONE  # connections from here begin with a PROXY header
    trusted: Networks = NONE  # peers here have no shares and no limit of unknown recipients
    worker: str = "ingress"  # the name of this process in hops

    message_max_bytes: int = 50 * MIB
    inline_max_bytes: int = CONTENT_INLINE_MAX_BYTES  # of content with its trace header
    line_max_bytes: int = MIB  # of one line in DATA, without its CRLF
    recipients_max: int = 100  # RFC 5321 §4.5.3.1.8 asks for at least 100
    owners_max: int = 2_000  # users of one mail, groups expanded: it must fit into an event
    received_max: int = 100  # Received: fields, the least of RFC 5321 §6.3; more: a loop

    connections_max: int = 500
    connections_per_peer_max: int = 50
    data_max: int = 64  # concurrent mails being read or published
    held_max_bytes: int = 512 * MIB  # of all mails being read or published
    data_small_bytes: int = MIB  # an eighth of both limits is kept for mails that declare less

    proxy_header_s: float = 4.0  # for the PROXY header of a trusted proxy
    command_idle_s: float = 300.0  # RFC 5321 §4.5.3.2.7 asks for at least 5 minutes
    data_window_s: float = 30.0  # over which the rate of a mail is averaged
    data_least_bytes_s: float = 1024.0  # its least rate
    data_hold_max_s: float = 900.0  # a mail must come as fast as its bytes so far in this time
    data_spared_s: float = 5.0  # a younger mail never gives way
    data_fast_bytes_s: float = 64 * 1024.0  # a faster mail never gives way
    data_total_s: float = 1800.0  # for a whole mail: 50 MiB at 29 KiB/s
    tls_handshake_s: float = 30.0
    resolve_max_s: float = 10.0
    accept_max_s: float = 10.0  # from the final dot to the answer
    linger_s: float = 2.0  # for a client to read the last reply before the connection is aborted
    stop_grace_s: float = 15.0  # for mails in progress when the server stops

    scan_wait_s: float = 5.0  # of scanner work that may wait before shares apply
    scan_window_s: float = 10.0  # over which shares are counted
    share_used_delay_s: float = 0.5  # of each reply that refuses a mail beyond its share

    unknown_max: int = 20  # replies 550 to RCPT in one connection
    unknown_per_peer_max: int = 100  # the same per hour of one peer
    unknown_prompt_max: int = 5  # in one connection, without delay
    unknown_delay_s: float = 1.0  # of each further 550
    bad_commands_max: int = 20  # replies 500 to 504 in one connection
    chatter_max: int = 100  # NOOP, RSET, VRFY, ... since the last accepted mail

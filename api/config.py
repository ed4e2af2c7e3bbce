"""Limits and settings of the edge; cli/ builds them from the environment."""

from dataclasses import dataclass

from edge.login_limiter import LoginLimits
from edge.trusted_networks import NONE, Networks
from schemas.directory import QUOTA_UNSET, Quota


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Every limit has a unit, every wait an end."""

    epoch: int = 1  # of all mailboxes' seqs and uids: another, later one after a restore
    host: str = "127.0.0.1"
    port: int = 8080
    reuse_port: bool = False  # several api processes behind one port
    descriptors: tuple[int, ...] = ()  # sockets that listen already, instead of host and port
    proxies: Networks = NONE  # whose word about clients is taken, see api/http/client_address.py
    proxy_header: str = "x-forwarded-for"  # or `forwarded` (RFC 7239); the other one is not read
    cors_origins: frozenset[str] = (
        frozenset()
    )  # pages that may ask from elsewhere, see api/http/cors.py
    secure_cookies: bool = False  # True: every client is taken to have come by HTTPS

    connections_max: int = 12_000  # push sockets and whoever else connects
    connections_per_peer_max: int = 256  # an office behind one address; by proxy: requests at once
    requests_per_minute: int = 6_000  # of one user; 0: any number
    anonymous_per_minute: int = 3_000  # requests without a sign-in, of one peer; 0: any number
    tls_handshake_s: float = 10.0
    body_max_s: float = 20.0  # for a request's body to come

    quota: Quota = QUOTA_UNSET  # of a user of whom nothing else is said

    session_days: int = 30
    session_use_s: int = 300  # the last use is written down no more often
    login_failures_per_address: int = 10  # these limits: edge/login_limiter.py
    login_failures_everywhere: int = 200
    login_failures_per_peer: int = 30
    login_window_s: float = 900.0
    logins_per_hour: int = 20  # that succeed, of one user from one peer
    logins_at_once: int = 2  # argon2 takes 64 MiB and a core each
    logins_waiting: int = 64  # in turns by network, see edge/fair_turns.py

    answer_timeout_s: float = 10.0  # a change not seen by then is answered 202
    retry_after_s: int = 5
    keepalive_s: float = 75.0  # idle; also for a request's whole head to come
    body_max_bytes: int = 64 * 1024

    page_default: int = 50
    page_max: int = 500
    cursor_max_chars: int = 512

    work_s_per_minute: float = 30.0  # of the loop's time and of parsing, for one user
    quick_max_bytes: int = 32 * 1024  # a common mail up to this is parsed on a thread, others by
    quick_reads_at_once: int = 4  # children; see api/rest/message_parsing.py
    quick_reads_per_user: int = 2
    reads_at_once: int = 2  # by children, which are so many
    reads_per_user: int = 1
    reads_waiting: int = 256
    searches_per_user: int = 8  # one is carried out, the others wait for it
    search_s_per_minute: float = 20.0  # of the index's time, for one user
    downloads_at_once: int = 32  # raw mails, attachments and long answers being sent
    downloads_per_user: int = 8
    downloads_max_bytes: int = 256 * 1024 * 1024  # in memory for them
    download_least_bytes_per_s: float = 8 * 1024  # that a reader must take, on average
    download_stall_s: float = 60.0  # how late a reader may be by that rate
    long_answer_bytes: int = 256 * 1024  # an answer over this takes a download's slot
    text_max_chars: int = 512 * 1024  # of text and of html in an answer; /raw has the rest

    sockets: int = 10_000
    sockets_per_user: int = 20
    sockets_unsigned: int = 200  # opened, token not yet said
    sockets_unsigned_per_peer: int = 10
    socket_frames_per_minute: int = 60  # from the client, PING frames too; beyond: closed with 1008
    socket_queue: int = 256  # events; a socket further behind is closed with 1013
    socket_queue_bytes: int = 4 * 1024 * 1024  # of those events, by estimate; beyond: 1013
    socket_behind_s: float = 5.0  # for the journal to show a step that the feed skipped; then 1013
    socket_send_buffer_bytes: int = 64 * 1024
    socket_message_max_bytes: int = 4 * 1024
    socket_ping_s: float = 30.0
    socket_token_s: float = 10.0
    socket_goodbye_s: float = 5.0  # for the peer to answer a close
    session_ends_s: float = 0.5  # until the sockets of an ended session are closed
    session_check_s: float = 30.0  # and again each socket by itself, should an end be missed

    def state(self, seq: int) -> str:
        """What a client holds of a mailbox at `seq` (RFC 8620 §5.1); seqs of epochs are alike."""
        return f"{self.epoch}-{seq}"

    @property
    def sign_ins(self) -> LoginLimits:
        return LoginLimits(
            per_source=self.login_failures_per_address,
            per_peer=self.login_failures_per_peer,
            per_address=self.login_failures_everywhere,
            window_ms=int(self.login_window_s * 1000),
            successes=self.logins_per_hour,
        )

    def cookie(self, *, https: bool) -> str:
        """The cookie's name: by HTTPS it is bound to the host (RFC 6265bis, __Host-).

        Browsers share other cookies among ports, so there the port is part of it.
        """
        return "__Host-postriver" if https else f"postriver_{self.port}"

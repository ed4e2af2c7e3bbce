"""Settings and limits of the API; cli/config builds them from the environment."""

from dataclasses import dataclass, field
from pathlib import Path

from edge.deposits.uploader import UploadConfig
from edge.sign_in.login_limiter import LoginLimits
from edge.trusted_networks import NONE, Networks
from mail.sending.sending_limits import SendingLimits
from schemas.directory import QUOTA_UNSET, Quota

_CHECKOUT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig:
    """Limits have units in their names; every wait has a limit."""

    epoch: int = 1  # of the seqs and uids of all mailboxes; a restore begins a later epoch
    host: str = "127.0.0.1"
    port: int = 8080
    reuse_port: bool = False  # several api processes behind one port
    descriptors: tuple[int, ...] = ()  # inherited listening sockets; they replace host and port
    proxies: Networks = NONE  # trusted proxies, see api/http/client_address.py
    proxy_header: str = "x-forwarded-for"  # or `forwarded` (RFC 7239); only this header is read
    cors_origins: frozenset[str] = frozenset()  # allowed origins, see api/http/cors.py
    secure_cookies: bool = False  # True: treat every client as connected by HTTPS

    connections_max: int = 12_000  # of all clients, push sockets included
    connections_per_peer_max: int = 256  # room for an office; of a proxied client: requests at once
    requests_per_minute: int = 6_000  # of one user; 0: unlimited
    anonymous_per_minute: int = 3_000  # unauthenticated, of one peer; 0: unlimited
    tls_handshake_s: float = 10.0
    body_max_s: float = 20.0  # to receive a request body

    quota: Quota = QUOTA_UNSET  # of users without a quota of their own
    worker: str = "api"  # the name of this process in hops
    message_max_bytes: int = 50 * 1024 * 1024  # of a mail that its owner deposits
    sending_limits: SendingLimits = field(default_factory=SendingLimits)
    undo_s: int = 10  # of a user who keeps the default
    webmail_libraries: Path = _CHECKOUT / ".tools" / "web"  # made at installation
    admin: bool = True  # the admin API and its page are there
    act_sign_in_s: float = 900.0  # an operator's act needs a sign-in that is at most so old
    acts_per_minute: int = 60  # of one operator
    deliver_encrypted: bool = True  # what no scanner can read is marked, else refused

    session_days: int = 30
    session_use_s: int = 300  # least time between updates of a session's last use
    login_failures_per_address: int = 10  # for these limits see edge/sign_in/login_limiter.py
    login_failures_everywhere: int = 200
    login_failures_per_peer: int = 30
    login_window_s: float = 900.0
    logins_per_hour: int = 20  # successful, of one user from one peer
    password_cache_s: float = 300.0  # a successful password check is remembered; 0: never
    password_cache_max: int = 10_000  # users
    logins_at_once: int = 2  # argon2 takes 64 MiB and a core each
    logins_waiting: int = 64  # in fair turns among networks, see edge/fair_turns.py

    answer_timeout_s: float = 10.0  # for a change to become visible; then 202
    retry_after_s: int = 5
    keepalive_s: float = 75.0  # idle connection; also to receive a request head
    body_max_bytes: int = 64 * 1024
    compose_body_max_bytes: int = 8 * 1024 * 1024  # of a draft or a mail, without its uploads
    composes_at_once: int = 2  # drafts and mails that are composed; each holds its files in memory
    composes_waiting: int = 256
    unsubscribes_per_minute: int = 10  # of one user
    images_per_minute: int = 300  # remote images of one user
    images_at_once: int = 8  # that are fetched, 5 MiB of memory each
    images_per_user: int = 4
    images_waiting: int = 256
    batch_max: int = 50_000  # messages of a batch; 100 commands, some 4 s of the mailbox stage
    batch_search_max: int = 5_000  # messages of a batch by search
    batches_at_once: int = 2  # whose messages are looked for
    batches_waiting: int = 64

    page_default: int = 50
    page_max: int = 500
    cursor_max_chars: int = 512

    work_s_per_minute: float = 30.0  # event loop and parsing time of one user
    quick_max_bytes: int = 32 * 1024  # mails of usual structure up to this size are parsed
    quick_reads_at_once: int = 4  # on threads, others in child processes
    quick_reads_per_user: int = 2
    reads_at_once: int = 2  # the number of the parser's child processes
    reads_per_user: int = 1
    reads_waiting: int = 256
    searches_per_user: int = 8  # one runs, the others wait
    search_s_per_minute: float = 20.0  # index time of one user
    downloads_at_once: int = 32  # raw mails, attachments and long responses
    downloads_per_user: int = 8
    downloads_max_bytes: int = 256 * 1024 * 1024  # memory for these downloads
    uploads: UploadConfig = field(default_factory=UploadConfig)
    uploads_at_once: int = 16  # uploads whose body is read or stored
    uploads_per_user: int = 4
    uploads_max_bytes: int = 256 * 1024 * 1024  # memory for their bodies
    upload_least_bytes_per_s: float = 8 * 1024  # average that a client must send
    upload_stall_s: float = 60.0  # how far a client may fall behind that rate
    download_least_bytes_per_s: float = 8 * 1024  # average that a client must read
    download_stall_s: float = 60.0  # how far a client may fall behind that rate
    long_answer_bytes: int = 256 * 1024  # a response over this size takes a download slot
    text_max_chars: int = 512 * 1024  # of text and of html in a response; /raw has the rest

    sockets: int = 10_000
    sockets_per_user: int = 20
    sockets_unsigned: int = 200  # open, not yet authenticated
    sockets_unsigned_per_peer: int = 10
    socket_frames_per_minute: int = 60  # of the client, PING included; above: close code 1008
    socket_queue: int = 256  # events that wait for a client; above: close code 1013
    socket_queue_bytes: int = 4 * 1024 * 1024  # estimated size of these events; above: 1013
    socket_behind_s: float = (
        5.0  # for the journal to show a step that live events skipped; then 1013
    )
    socket_send_buffer_bytes: int = 64 * 1024
    socket_message_max_bytes: int = 4 * 1024
    socket_ping_s: float = 30.0
    socket_watch_s: float = 2.0  # between looks at the state of the stack, while it is watched
    socket_token_s: float = 10.0
    socket_goodbye_s: float = 5.0  # for the peer to answer a close frame
    session_ends_s: float = 0.5  # between polls for ended sessions
    session_check_s: float = (
        30.0  # between checks of each socket's session, in case a poll missed it
    )

    def state(self, seq: int) -> str:
        """The mailbox's state string at `seq` (RFC 8620 §5.1); seqs repeat in another epoch."""
        return f"{self.epoch}-{seq}"

    @property
    def sign_ins(self) -> LoginLimits:
        return LoginLimits(
            per_source=self.login_failures_per_address,
            per_peer=self.login_failures_per_peer,
            per_address=self.login_failures_everywhere,
            window_ms=int(self.login_window_s * 1000),
            sessions=self.logins_per_hour,
        )

    def cookie(self, *, https: bool) -> str:
        """The name of the session cookie. By HTTPS the prefix __Host- binds it to the host.

        See RFC 6265bis. Browsers share cookies among the ports of a host, so the name for HTTP
        contains the port.
        """
        return "__Host-postriver" if https else f"postriver_{self.port}"

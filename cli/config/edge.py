"""Settings of the servers that face clients: limits, certificate, proxies, processes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.config.setting_reader import BadSetting, SettingReader
from edge.trusted_networks import Networks

PROCESSES_MAX = 32  # of one role on one machine
PASSWORD_CACHE_MAX_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """The part of Config that SMTP, HTTP and POP3 read."""

    ingress_processes: int  # that share the SMTP port
    api_processes: int  # that share the HTTP port
    pop3_processes: int  # that share both POP3 ports
    http_connections_max: int  # of each api process
    http_connections_per_peer_max: int
    pop3_connections_max: int  # of each pop3 process
    pop3_connections_per_peer_max: int
    tls_cert: Path | None  # None: self-signed, in HOME/tls
    tls_key: Path | None
    https: bool  # True: the HTTP port speaks TLS only
    http_in_clear: bool  # True: beyond the loopback too, see cli/config/exposure.py
    smtp_proxies: Networks  # connections from here begin with a PROXY header
    pop3_proxies: Networks  # the same for the POP3 port, not for the port with TLS
    pop3_in_clear: bool  # True: passwords without TLS from beyond the loopback too
    smtp_trusted: Networks  # peers that are not held to shares, such as own relays
    http_proxies: Networks  # their header names the client and its scheme
    http_proxy_header: str
    http_requests_per_minute: int  # of one user; 0: unlimited
    password_cache_s: int  # a successful password check is remembered; 0: never
    cors_origins: tuple[str, ...]  # origins of other pages that may use the API
    admin: str  # on | off: no admin API and no page of it
    ops_urls: str  # of supervisors whose state the admin API shows; "": that of this machine
    secure_cookies: str  # yes: also when no proxy reports HTTPS
    image_proxy: bool  # True: the API fetches remote images of mails
    smtp_fds: tuple[int, ...]  # inherited listening sockets, instead of a port
    http_fds: tuple[int, ...]
    pop3_fds: tuple[int, ...]
    pop3s_fds: tuple[int, ...]


def edge_settings(read: SettingReader) -> dict[str, Any]:
    """The fields of EdgeSettings. Raises BadSetting."""
    certificate, key = _tls(read)
    return {
        "ingress_processes": read.number("INGRESS_PROCESSES", 1, least=1, most=PROCESSES_MAX),
        "api_processes": read.number("API_PROCESSES", 1, least=1, most=PROCESSES_MAX),
        "pop3_processes": read.number("POP3_PROCESSES", 1, least=1, most=PROCESSES_MAX),
        "http_connections_max": read.number("HTTP_CONNECTIONS_MAX", 12_000, least=1, most=50_000),
        "http_connections_per_peer_max": read.number(
            "HTTP_CONNECTIONS_PER_PEER_MAX", 256, least=1, most=50_000
        ),
        "pop3_connections_max": read.number("POP3_CONNECTIONS_MAX", 500, least=1, most=20_000),
        "pop3_connections_per_peer_max": read.number(
            "POP3_CONNECTIONS_PER_PEER_MAX", 50, least=1, most=20_000
        ),
        "tls_cert": certificate,
        "tls_key": key,
        "https": read.choice("HTTPS", "no", ("yes", "no")) == "yes",
        "http_in_clear": read.choice("HTTP_IN_CLEAR", "no", ("yes", "no")) == "yes",
        "smtp_proxies": read.networks("SMTP_PROXIES"),
        "pop3_proxies": read.networks("POP3_PROXIES"),
        "pop3_in_clear": read.choice("POP3_IN_CLEAR", "no", ("yes", "no")) == "yes",
        "smtp_trusted": read.networks("SMTP_TRUSTED"),
        "http_proxies": read.networks("HTTP_PROXIES"),
        "http_proxy_header": read.choice(
            "HTTP_PROXY_HEADER", "x-forwarded-for", ("x-forwarded-for", "forwarded")
        ),
        "http_requests_per_minute": read.number(
            "HTTP_REQUESTS_PER_MINUTE", 6_000, least=0, most=1_000_000
        ),
        "password_cache_s": read.number(
            "PASSWORD_CACHE_S", 300, least=0, most=PASSWORD_CACHE_MAX_S
        ),
        "cors_origins": read.origins("CORS_ORIGINS"),
        **_admin(read),
        "secure_cookies": read.choice("SECURE_COOKIES", "auto", ("auto", "yes")),
        "image_proxy": read.choice("IMAGE_PROXY", "no", ("yes", "no")) == "yes",
        **_listening_sockets(read),
    }


def _admin(read: SettingReader) -> dict[str, str]:
    return {
        "admin": read.choice("ADMIN", "on", ("on", "off")),
        "ops_urls": read.urls("OPS_URLS"),
    }


def _listening_sockets(read: SettingReader) -> dict[str, tuple[int, ...]]:
    names = ("smtp_fds", "http_fds", "pop3_fds", "pop3s_fds")
    return {name: read.numbers(name.upper()) for name in names}


def _tls(read: SettingReader) -> tuple[Path | None, Path | None]:
    """The paths of certificate and key: both or neither. The files are checked when loaded."""
    names = ("TLS_CERT", "TLS_KEY")
    certificate, key = map(read.path, names)
    for name, path in zip(names, (certificate, key), strict=True):
        if (certificate or key) and not path:
            raise BadSetting(f"POSTRIVER_{name}", "", "both POSTRIVER_TLS_CERT and _TLS_KEY")
    return certificate, key

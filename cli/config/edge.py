"""Settings of the edges: who may connect, by which certificate, and whose word counts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.config.setting_reader import BadSetting, SettingReader
from edge.trusted_networks import Networks


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeSettings:
    """A part of Config."""

    http_connections_max: int
    http_connections_per_peer_max: int
    tls_cert: Path | None  # None: a pair of our own in HOME/tls
    tls_key: Path | None
    https: bool  # on the HTTP port, and nothing else there
    http_in_clear: bool  # beyond the loopback too, see cli/config/exposure.py
    smtp_proxies: Networks  # who speaks the PROXY protocol to us
    smtp_trusted: Networks  # peers without a share of their own, such as our own relays
    http_proxies: Networks  # whose word about the client's address and scheme counts
    http_proxy_header: str
    http_requests_per_minute: int  # of one user; 0: any number
    cors_origins: tuple[str, ...]  # pages of other origins that may use the API
    secure_cookies: str  # yes: even when nobody says that the page came by HTTPS
    smtp_fds: tuple[int, ...]  # listening sockets that were handed to us, instead of a port
    http_fds: tuple[int, ...]


def edge_settings(read: SettingReader) -> dict[str, Any]:
    """The fields of EdgeSettings. BadSetting."""
    certificate, key = _tls(read)
    return {
        "http_connections_max": read.number("HTTP_CONNECTIONS_MAX", 12_000, least=1, most=50_000),
        "http_connections_per_peer_max": read.number(
            "HTTP_CONNECTIONS_PER_PEER_MAX", 256, least=1, most=50_000
        ),
        "tls_cert": certificate,
        "tls_key": key,
        "https": read.choice("HTTPS", "no", ("yes", "no")) == "yes",
        "http_in_clear": read.choice("HTTP_IN_CLEAR", "no", ("yes", "no")) == "yes",
        "smtp_proxies": read.networks("SMTP_PROXIES"),
        "smtp_trusted": read.networks("SMTP_TRUSTED"),
        "http_proxies": read.networks("HTTP_PROXIES"),
        "http_proxy_header": read.choice(
            "HTTP_PROXY_HEADER", "x-forwarded-for", ("x-forwarded-for", "forwarded")
        ),
        "http_requests_per_minute": read.number(
            "HTTP_REQUESTS_PER_MINUTE", 6_000, least=0, most=1_000_000
        ),
        "cors_origins": read.origins("CORS_ORIGINS"),
        "secure_cookies": read.choice("SECURE_COOKIES", "auto", ("auto", "yes")),
        "smtp_fds": read.numbers("SMTP_FDS"),
        "http_fds": read.numbers("HTTP_FDS"),
    }


def _tls(read: SettingReader) -> tuple[Path | None, Path | None]:
    """Both or neither; whether they can be used is seen when they are read."""
    names = ("TLS_CERT", "TLS_KEY")
    given = [read.text(name, "") for name in names]
    for name, value in zip(names, given, strict=True):
        if any(given) and not value:
            raise BadSetting(f"POSTRIVER_{name}", value, "both POSTRIVER_TLS_CERT and _TLS_KEY")
    certificate, key = (Path(value).expanduser().absolute() if value else None for value in given)
    return certificate, key

"""The URL of an engine that runs elsewhere: SCHEME://[USER@]HOST[,HOST][:PORT][/PATH][?KEY=VALUE&...].

The syntax is that of RFC 3986 without percent-encoding, with several hosts that share one port. A
URL has no password: it is in a file of its own. No error shows any part of the text, since it may
contain a password by mistake.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

HOSTS_MAX = 64
_NAME = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*"
)
_IPV6 = re.compile(r"\[[0-9A-Fa-f:.]{2,45}\]")
_USER = re.compile(r"[A-Za-z0-9._~+=-]{1,128}")
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_FILE = re.compile(r"/[A-Za-z0-9._/+-]{1,254}")
_PORT_MAX = 65_535


class BadUrl(ValueError):
    """A text that is no URL of the engine. The message says what is wrong and shows no part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlForm:
    """What the URL of one engine may have."""

    scheme: str
    port: int  # if the URL has none
    user: Literal["none", "optional", "required"] = "none"
    path: str = ""  # what a path names, for errors; "": there is no path
    hosts_max: int = HOSTS_MAX
    tls: bool = True  # False: the engine speaks no TLS
    numbers: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # key: least, most
    words: tuple[str, ...] = ()  # keys with a word as value

    def __str__(self) -> str:
        user = {"none": "", "optional": "[USER@]", "required": "USER@"}[self.user]
        hosts = "HOST" if self.hosts_max == 1 else "HOST[,HOST...]"
        path = f"/{self.path.upper()}" if self.path else ""
        keys = [f"{key}=" for key in self.keys]
        query = f", after ? with & between: {' '.join(keys)}" if keys else ""
        return f"{self.scheme}://{user}{hosts}[:PORT]{path}{query}"

    @property
    def keys(self) -> tuple[str, ...]:
        return (*(("tls", "ca") if self.tls else ()), *self.numbers, *self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineUrl:
    """Where an engine is. `str()` is the URL in its normal form, which `parse` reads again."""

    scheme: str
    hosts: tuple[str, ...]  # names or IP addresses, IPv6 without brackets
    port: int
    user: str = ""
    path: str = ""  # without the first slash
    tls: bool = False
    ca: Path | None = None  # certificates that are trusted, PEM; None: those of the system
    options: tuple[tuple[str, str], ...] = ()  # other keys of the query, sorted

    @classmethod
    def parse(cls, text: str, form: UrlForm) -> Self:
        """Read a URL. Raises BadUrl."""
        scheme, separator, rest = text.partition("://")
        if not separator or scheme != form.scheme:
            raise BadUrl(f"it does not begin with {form.scheme}://")
        place, _, query = rest.partition("?")
        authority, slash, path = place.partition("/")
        user, hosts = _login(authority, form)
        names, port = _hosts(hosts, form)
        options = _options(query, form, is_given="?" in rest)
        tls, ca = options.pop("tls", "0") == "1", options.pop("ca", None)
        if ca is not None and not tls:
            raise BadUrl("ca needs tls=1")
        return cls(
            scheme=scheme,
            hosts=names,
            port=port,
            user=user,
            path=_path(path, form, is_given=bool(slash)),
            tls=tls,
            ca=None if ca is None else Path(ca),
            options=tuple(sorted(options.items())),
        )

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        path = f"/{self.path}" if self.path else ""
        ca = [("ca", str(self.ca))] if self.ca else []
        pairs = [*([("tls", "1")] if self.tls else []), *ca, *self.options]
        query = "?" + "&".join(f"{key}={value}" for key, value in pairs) if pairs else ""
        hosts = ",".join(map(_bracketed, self.hosts))
        return f"{self.scheme}://{user}{hosts}:{self.port}{path}{query}"

    def number(self, key: str, default: int) -> int:
        return int(self.word(key, str(default)))

    def word(self, key: str, default: str) -> str:
        return dict(self.options).get(key, default)

    @property
    def servers(self) -> tuple[str, ...]:
        """HOST:PORT of each host."""
        return tuple(f"{_bracketed(host)}:{self.port}" for host in self.hosts)

    def ssl_context(self) -> ssl.SSLContext | None:
        """A context that verifies the server's certificate and name (RFC 9525); None: no TLS.

        Raises OSError: the file of `ca` cannot be read, or has no certificate.
        """
        return ssl.create_default_context(cafile=self.ca) if self.tls else None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _login(authority: str, form: UrlForm) -> tuple[str, str]:
    """The user and the rest of the authority."""
    user, at, hosts = authority.rpartition("@")
    if at and form.user == "none":
        raise BadUrl(f"{form.scheme} has no user")
    if ":" in user:
        file = f"POSTRIVER_{form.scheme.upper()}_PASSWORD_FILE"
        raise BadUrl(f"it has a password: put it into a file and name that in {file}")
    if not at and form.user == "required":
        raise BadUrl("it has no USER@")
    if at and not _USER.fullmatch(user):
        raise BadUrl("its user has other characters than letters, digits and . _ ~ + = -")
    return user, hosts


def _hosts(text: str, form: UrlForm) -> tuple[tuple[str, ...], int]:
    """The hosts and their port."""
    match = re.fullmatch(r"(.*?)(?::(\d{1,5}))?", text, re.ASCII | re.DOTALL)
    assert match is not None  # it matches every text
    port = int(match[2] or form.port)
    if not 1 <= port <= _PORT_MAX:
        raise BadUrl(f"its port is not one of 1 to {_PORT_MAX}")
    hosts = match[1].split(",", HOSTS_MAX)
    if len(hosts) > form.hosts_max:
        raise BadUrl(f"it has more than {form.hosts_max} host{'s' * (form.hosts_max > 1)}")
    if not all(
        len(host) <= 253 and (_NAME.fullmatch(host) or _IPV6.fullmatch(host)) for host in hosts
    ):
        raise BadUrl("a host is neither a name nor an address, or the port is no number")
    if len(set(hosts)) < len(hosts):
        raise BadUrl("a host is there twice")
    return tuple(host.strip("[]") for host in hosts), port


def _path(path: str, form: UrlForm, *, is_given: bool) -> str:
    if form.path and not _PATH.fullmatch(path):
        raise BadUrl(f"it has no {form.path} behind the host, of letters, digits and . _ -")
    if is_given and not form.path:
        raise BadUrl(f"{form.scheme} has no path")
    return path


def _options(query: str, form: UrlForm, *, is_given: bool) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in query.split("&") if is_given else []:
        key, equals, value = pair.partition("=")
        if not equals or key not in form.keys:
            raise BadUrl(f"its query has something else than {', '.join(form.keys) or 'nothing'}")
        if key in options:
            raise BadUrl(f"{key} is there twice")
        _check_option(key, value, form)
        options[key] = value
    return options


def _check_option(key: str, value: str, form: UrlForm) -> None:
    """Raises BadUrl."""
    if key in form.numbers:
        least, most = form.numbers[key]
        is_number = re.fullmatch(r"0|[1-9]\d{0,5}", value, re.ASCII)
        if not is_number or not least <= int(value) <= most:
            raise BadUrl(f"{key} is a whole number, {least} to {most}")
    elif key == "tls":
        if value not in {"0", "1"}:
            raise BadUrl("tls is 0 or 1")
    elif key == "ca":
        if not _FILE.fullmatch(value):
            raise BadUrl("ca is an absolute path of letters, digits and . _ / + -")
    elif not _WORD.fullmatch(value):
        raise BadUrl(f"{key} is a word of letters, digits and . _ -")

"""Settings of delivery to other servers."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from cli.config.edge import EdgeSettings, edge_settings
from cli.config.setting_reader import BadSetting, SettingReader
from mail.addresses import normal_domain
from mail.errors import BadAddress
from mail.outbound_addresses import OutboundAddresses
from mail.ports.mail_transport import Smarthost
from mail.sending.relay_setting import RelayMode, RelaySetting

_SUBMISSION_PORT, _SUBMISSIONS_PORT, _DNS_PORT = 587, 465, 53
_SMARTHOST_FORM = "[smtp://|smtps://][USER@]HOST[:PORT]; smtps is TLS from the first octet"
_MODES = ("off", "mx", "smarthost")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings(EdgeSettings):
    """The part of Config about delivery to other servers, after that of the edges."""

    relay: str  # off | mx | smarthost
    relay_port: int  # of the mail hosts of domains
    relay_tls_required: tuple[str, ...]  # domains to which mail goes under verified TLS only
    resolver: str  # HOST:PORT of a DNS server; "": those of the system
    smarthost: str
    smarthost_password_file: Path | None
    secret_key_file: Path | None  # None: HOME/secrets/service
    outbound_allow: str  # networks that are not public and may be connected to

    @property
    def relay_setting(self) -> RelaySetting:
        """The setting for the stages. Raises BadSetting: the password's file cannot be read."""
        mode = cast("RelayMode", self.relay)
        if mode != "smarthost":
            return RelaySetting(mode=mode)
        password = _password(self.smarthost_password_file)
        return RelaySetting(mode=mode, smarthost=_smarthost(self.smarthost, password))

    @property
    def resolver_address(self) -> tuple[str, int]:
        """IP address and port of the DNS server; ("", 53): those of the system."""
        return _resolver(self.resolver)

    @property
    def outbound(self) -> OutboundAddresses:
        return OutboundAddresses.parse(self.outbound_allow)


def relay_settings(read: SettingReader) -> dict[str, Any]:
    """The fields of RelaySettings. Raises BadSetting."""
    mode = read.choice("RELAY", "off", _MODES)
    smarthost, file = read.text("SMARTHOST", ""), read.text("SMARTHOST_PASSWORD_FILE", "")
    resolver, allowed = read.text("RESOLVER", ""), read.text("OUTBOUND_ALLOW", "")
    if mode == "smarthost" or smarthost:
        is_named = bool(_smarthost(smarthost, "").username)
        if is_named != bool(file):
            expected = "a file for a smarthost with USER@, and none without"
            raise BadSetting("POSTRIVER_SMARTHOST_PASSWORD_FILE", file, expected)
    _resolver(resolver)
    try:
        OutboundAddresses.parse(allowed)
    except ValueError as error:
        expected = f"networks such as 10.0.0.0/8,::1/128 ({error})"
        raise BadSetting("POSTRIVER_OUTBOUND_ALLOW", allowed, expected) from error
    return {
        **edge_settings(read),
        "relay": mode,
        "relay_port": read.number("RELAY_PORT", 25, least=1, most=65_535),
        "relay_tls_required": _domains(read, "RELAY_TLS_REQUIRED"),
        "resolver": resolver,
        "smarthost": smarthost,
        "smarthost_password_file": read.path("SMARTHOST_PASSWORD_FILE"),
        "secret_key_file": read.path("SECRET_KEY_FILE"),
        "outbound_allow": allowed,
    }


def _smarthost(text: str, password: str) -> Smarthost:
    scheme, separator, rest = text.rpartition("://")
    username, _, place = rest.rpartition("@")
    host, port = _host_and_port(place)
    is_implicit = scheme == "smtps"
    if not host or (separator and scheme not in {"smtp", "smtps"}) or port == 0:
        raise BadSetting("POSTRIVER_SMARTHOST", text, _SMARTHOST_FORM)
    default = _SUBMISSIONS_PORT if is_implicit else _SUBMISSION_PORT
    return Smarthost(
        host=host,
        port=port or default,
        implicit_tls=is_implicit,
        username=username,
        password=password,
    )


def _resolver(text: str) -> tuple[str, int]:
    if not text:
        return "", _DNS_PORT
    host, port = _host_and_port(text)
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        port = 0
    if port == 0:
        raise BadSetting("POSTRIVER_RESOLVER", text, "ADDRESS:PORT, such as 127.0.0.1:53")
    return address, port or _DNS_PORT


def _host_and_port(text: str) -> tuple[str, int | None]:
    """Host and port of HOST, HOST:PORT or [IPv6]:PORT; port None: not given, 0: not a port."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return text.strip("[]"), None
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535
    return host.strip("[]"), int(port) if is_port else 0


def _domains(read: SettingReader, name: str) -> tuple[str, ...]:
    words = [word.strip() for word in read.text(name, "").split(",")]
    try:
        return tuple(normal_domain(word) for word in words if word)
    except BadAddress as error:
        raise BadSetting(f"POSTRIVER_{name}", ",".join(words), error.detail) from error


def _password(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeError) as error:
        raise BadSetting("POSTRIVER_SMARTHOST_PASSWORD_FILE", str(path), str(error)) from error

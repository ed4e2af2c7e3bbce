"""Settings of delivery to other servers: what is taken, and what is refused by name."""

from pathlib import Path

import pytest

from cli.config.config import load
from cli.config.setting_reader import BadSetting
from mail.ports.mail_transport import Smarthost

SMARTHOST = {"POSTRIVER_RELAY": "smarthost"}


def test_nothing_leaves_by_default() -> None:
    config = load({})
    assert (config.relay_setting.is_off, config.relay_port) == (True, 25)
    assert config.resolver_address == ("", 53)
    assert not config.outbound.permits("127.0.0.1")


@pytest.mark.parametrize(
    ("text", "host", "port", "implicit"),
    [
        ("mail.example.net", "mail.example.net", 587, False),
        ("mail.example.net:2525", "mail.example.net", 2525, False),
        ("smtp://mail.example.net:25", "mail.example.net", 25, False),
        ("smtps://mail.example.net", "mail.example.net", 465, True),
        ("[::1]:2525", "::1", 2525, False),
    ],
)
def test_a_smarthost(text: str, host: str, port: int, *, implicit: bool) -> None:
    setting = load({**SMARTHOST, "POSTRIVER_SMARTHOST": text}).relay_setting
    assert setting.smarthost == Smarthost(host=host, port=port, implicit_tls=implicit)


def test_a_smarthost_with_a_password(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret word\n")
    config = load({
        **SMARTHOST,
        "POSTRIVER_SMARTHOST": "smtps://ann@example.org@mail.example.net:4650",
        "POSTRIVER_SMARTHOST_PASSWORD_FILE": str(file),
        "POSTRIVER_RELAY_TLS_REQUIRED": "Example.ORG, münchen.example",
        "POSTRIVER_RESOLVER": "127.0.0.1:5353",
        "POSTRIVER_OUTBOUND_ALLOW": "127.0.0.0/8",
    })  # fmt: skip
    assert load(config.as_settings()) == config  # as every process of the stack reads them
    smarthost = config.relay_setting.smarthost
    assert (smarthost.username, smarthost.password) == ("ann@example.org", "s3cret word")
    assert config.relay_tls_required == ("example.org", "xn--mnchen-3ya.example")
    assert config.resolver_address == ("127.0.0.1", 5353)
    assert config.outbound.permits("127.0.0.1")
    file.unlink()
    with pytest.raises(BadSetting, match="POSTRIVER_SMARTHOST_PASSWORD_FILE"):
        _ = config.relay_setting


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RELAY", "yes"),
        ("SMARTHOST", ""),
        ("SMARTHOST", "http://mail.example.net"),
        ("SMARTHOST", "mail.example.net:99999"),
        ("SMARTHOST_PASSWORD_FILE", "/there/is/no/user"),
        ("RESOLVER", "dns.example:53"),
        ("RESOLVER", "127.0.0.1:x"),
        ("OUTBOUND_ALLOW", "10.0.0.1/8"),
        ("RELAY_PORT", "0"),
        ("RELAY_TLS_REQUIRED", "not a domain"),
    ],
)
def test_a_bad_value_is_refused_by_its_name(name: str, value: str) -> None:
    given = {**SMARTHOST, "POSTRIVER_SMARTHOST": "mail.example.net", f"POSTRIVER_{name}": value}
    with pytest.raises(BadSetting, match=f"POSTRIVER_{name}"):
        load(given)

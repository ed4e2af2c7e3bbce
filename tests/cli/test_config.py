"""Settings: a bad value is refused by name; as_settings() gives the configuration again."""

from pathlib import Path

import pytest

from cli.config.config import load
from cli.config.setting_reader import BadSetting


def test_defaults_need_no_settings() -> None:
    config = load({})
    assert config.home.name == ".postriver"
    assert (config.ports.smtp, config.ports.http) == (2525, 8080)
    assert (config.ports.submission, config.ports.submissions) == (2587, 2465)
    assert (config.ports.pop3, config.ports.pop3s) == (2110, 2995)
    assert config.bind == "127.0.0.1"


def test_a_base_gives_ports_behind_each_other() -> None:
    ports = load({"POSTRIVER_PORT_BASE": "4000"}).ports
    assert [ports.smtp, ports.http, ports.ops, ports.kafka, ports.controller] == [
        4000, 4001, 4002, 4003, 4004,
    ]  # fmt: skip
    assert (ports.submission, ports.submissions) == (4005, 4006)
    assert (ports.pop3, ports.pop3s) == (4007, 4008)


def test_one_port_may_differ_from_its_base() -> None:
    ports = load({"POSTRIVER_PORT_BASE": "4000", "POSTRIVER_HTTP_PORT": "8081"}).ports
    assert (ports.smtp, ports.http) == (4000, 8081)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT_BASE", "80"),
        ("PORT_BASE", "sixty"),
        ("SMTP_PORT", "70000"),
        ("HTTP_PORT", "-1"),
        ("HTTP_PORT", "²"),
        ("MESSAGE_MAX_BYTES", "99999999999"),
        ("JUNK_SCORE", "nan"),
        ("QUARANTINE_SCORE", "1"),
        ("PROFILE", "fleet"),
        ("LOG_LEVEL", "loud"),
        ("HOSTNAME", "not a name"),
        ("RECIPIENTS_MAX", "0"),
        ("SMTP_PROXIES", "10.0.0.1/8"),
        ("HTTP_PROXIES", "localhost"),
        ("HTTP_PROXY_HEADER", "both"),
        ("CORS_ORIGINS", "https://mail.example.org/"),
        ("CORS_ORIGINS", "https://ok.example.org, *"),
        ("HTTP_REQUESTS_PER_MINUTE", "many"),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"POSTRIVER_{name}"):
        load({f"POSTRIVER_{name}": value})


def test_two_settings_may_not_want_one_port() -> None:
    with pytest.raises(BadSetting):
        load({"POSTRIVER_HTTP_PORT": "2525"})


def test_a_configuration_gives_itself_again(tmp_path: Path) -> None:
    given = {
        "POSTRIVER_HOME": str(tmp_path), "POSTRIVER_PORT_BASE": "5000",
        "POSTRIVER_HOSTNAME": "Mail.Example.ORG", "POSTRIVER_JUNK_SCORE": "4.5",
        "POSTRIVER_MESSAGE_MAX_BYTES": "1000000", "POSTRIVER_LOG_LEVEL": "DEBUG",
        "POSTRIVER_SMTP_PROXIES": "10.0.0.0/8, ::1",
        "POSTRIVER_CORS_ORIGINS": "https://a.example.org, http://[::1]:3000",
    }  # fmt: skip
    config = load(given)
    assert config.hostname == "mail.example.org"
    assert load(config.as_settings()) == config

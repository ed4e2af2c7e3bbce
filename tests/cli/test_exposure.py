"""HTTP in clear beyond the loopback is refused at the start, unless a setting allows it."""

import socket
from dataclasses import replace

import pytest
from click.testing import CliRunner

from cli.config.config import load
from cli.config.exposure import in_clear_at
from cli.doctor.finding import Level
from cli.doctor.settings import in_clear
from cli.main import postriver
from mail.errors import Refused

PUBLIC = {"POSTRIVER_BIND": "0.0.0.0"}


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        (PUBLIC, True),
        ({"POSTRIVER_BIND": "192.0.2.1"}, True),
        ({"POSTRIVER_BIND": "::"}, True),
        ({"POSTRIVER_BIND": "mail.example.org"}, True),
        ({**PUBLIC, "POSTRIVER_HTTPS": "no"}, True),
        ({**PUBLIC, "POSTRIVER_SMTP_PROXIES": "10.0.0.1"}, True),
        ({**PUBLIC, "POSTRIVER_HTTPS": "yes"}, False),
        ({**PUBLIC, "POSTRIVER_HTTP_PROXIES": "10.0.0.1"}, False),
        ({**PUBLIC, "POSTRIVER_SECURE_COOKIES": "yes"}, False),
        ({**PUBLIC, "POSTRIVER_HTTP_IN_CLEAR": "yes"}, False),
        ({"POSTRIVER_BIND": "127.0.0.9"}, False),
        ({"POSTRIVER_BIND": "::1"}, False),
        ({"POSTRIVER_BIND": "localhost"}, False),
        ({}, False),
    ],
)
def test_who_may_listen_in_clear(settings, refused) -> None:
    config = load(settings)
    assert bool(in_clear_at(config)) is refused
    levels = [each.level for each in in_clear(config)]
    assert levels == ([Level.PROBLEM] if refused else [])
    assert load(config.as_settings()) == config, "what our processes are given"


def test_up_refuses_and_leaves_nothing(tmp_path) -> None:
    env = {**PUBLIC, "POSTRIVER_HOME": str(tmp_path / "home")}
    result = CliRunner().invoke(postriver, ["up"], env=env)
    assert isinstance(result.exception, Refused)
    assert result.exception.detail.startswith("HTTP in clear at 0.0.0.0: ")
    assert "POSTRIVER_HTTP_IN_CLEAR" in result.exception.detail
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(("address", "refused"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_socket_that_was_handed_over_counts_by_its_own_address(address, refused) -> None:
    with socket.socket() as handed:
        handed.bind((address, 0))
        config = replace(load({}), http_fds=(handed.fileno(),))
        assert bool(in_clear_at(config)) is refused
        handed.getsockname()  # still ours

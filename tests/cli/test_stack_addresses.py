"""Commands find the ports of the stack that runs on their state folder."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.config.config import load
from cli.config.setting_reader import BadSetting
from cli.stack_addresses import load_running, published_settings
from stack.state_folder import StateFolder, claimed
from stack.supervision.client import write_settings

OTHERS = {"POSTRIVER_PORT_BASE": "4000", "POSTRIVER_HTTPS": "yes", "POSTRIVER_TLS_CERT": "/c.pem",
          "POSTRIVER_TLS_KEY": "/k.pem"}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Iterator[StateFolder]:
    """A state folder locked by this process, as by a supervisor."""
    with claimed(tmp_path / "home") as mine:
        yield mine


@pytest.fixture
def shell(home: StateFolder) -> dict[str, str]:
    """Return the environment of a shell that runs a command."""
    write_settings(home, published_settings(load({**OTHERS, "POSTRIVER_HOME": str(home.path)})))
    return {"POSTRIVER_HOME": str(home.path)}


def test_a_shell_that_says_nothing_finds_the_running_stack(shell: dict[str, str]) -> None:
    config = load_running(shell)
    assert config.http_url == "https://127.0.0.1:4001"
    assert (config.ports.smtp, config.ports.kafka) == (4000, 4003)
    assert (config.tls_cert, config.tls_key) == (Path("/c.pem"), Path("/k.pem"))


def test_a_shell_that_says_the_same_is_right(shell: dict[str, str]) -> None:
    assert load_running({**OTHERS, **shell}) == load_running(shell)
    assert load_running({**shell, "POSTRIVER_HTTP_PORT": "4001"}).ports.http == 4001


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("POSTRIVER_HTTP_PORT", "8080", "POSTRIVER_HTTP_PORT=4001"),
        ("POSTRIVER_PORT_BASE", "5000", "POSTRIVER_SMTP_PORT=4000"),
        ("POSTRIVER_HTTPS", "no", "POSTRIVER_HTTPS=yes"),
        ("POSTRIVER_BIND", "0.0.0.0", "POSTRIVER_BIND=127.0.0.1"),
    ],
)
def test_a_shell_that_contradicts_is_refused(
    shell: dict[str, str], name: str, value: str, wanted: str
) -> None:
    with pytest.raises(BadSetting, match=f"^{name}=.*{wanted}; unset {name}"):
        load_running({**shell, name: value})


def test_a_stack_that_is_down_or_another_process_counts_no_more(
    home: StateFolder, shell: dict[str, str]
) -> None:
    path = home.run / "settings.json"
    for content in ("", "[]", json.dumps({"pid": 1, "settings": {"POSTRIVER_HTTP_PORT": "1"}})):
        path.write_text(content)
        assert load_running(shell) == load(shell)
    path.unlink()
    assert load_running(shell) == load(shell)
    assert load_running({"POSTRIVER_HOME": "/none"}) == load({"POSTRIVER_HOME": "/none"})

"""The command line without a stack: each failure is one line on stderr, with its exit code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.commands.role import LOGGERS
from cli.programs import EDGES, SETUP
from stack.ports import free_port
from streams.topology import ROLES
from tests.rules.test_tidy import LAYERS

POSTRIVER = Path(sys.executable).with_name("postriver")


def run(
    home: Path, *args: str, given: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "POSTRIVER_HOME": str(home), "POSTRIVER_PORT_BASE": "61000", **settings}
    return subprocess.run(
        [str(POSTRIVER), *args], env=env, input=given, text=True, capture_output=True, check=False
    )


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("status",), 3, "no Postriver state here yet"),
        (("user", "list"), 1, "no Postriver state here yet"),
        (("quarantine", "list"), 1, "no Postriver state here yet"),
        (("demo",), 1, "no Postriver state here yet"),
        (("backup", "/tmp/none"), 1, "no Postriver state here yet"),
        (("trace", "nonsense"), 1, "is no mail id"),
        (("user", "add"), 2, "Missing argument"),
        (("user", "quota", "a@b.test", "--bytes", "5X"), 2, "no size such as 5G"),
        (("user", "quota", "a@b.test", "--none", "--default"), 1, "exclude each other"),
        (("domain", "limits", "b.test", "--none", "--default"), 1, "exclude each other"),
        (("user", "limits", "a@b.test", "--mails-per-day", "-1"), 2, "--mails-per-day"),
        (("domain", "catch-all", "b.test", "a@b.test", "--none"), 1, "exclude each other"),
        (("dead-letters", "redrive"), 2, "give ids, or --all"),
        (("dead-letters", "park", "mail.received-7"), 1, "is not TOPIC@PARTITION-OFFSET"),
        (("dead-letters", "park", "mail.received@1-7"), 1, "no Postriver state here yet"),
        (("role", "router"), 2, "'router' is not one of 'ingress', 'api', 'msa', 'pop3'"),
        (("role", "scan"), 1, "no Postriver state here yet"),
        (("nothing-like-it",), 2, "No such command"),
        (("down",), 0, "was not running"),
    ],
)
def test_a_failure_is_one_line(
    tmp_path: Path, args: tuple[str, ...], code: int, words: str
) -> None:
    done = run(tmp_path / "none", *args)
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    assert words in output
    assert "Traceback" not in output
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_engines_elsewhere_are_shown_while_the_stack_is_down(tmp_path: Path, command: str) -> None:
    at = f"127.0.0.1:{free_port()}"
    done = run(tmp_path / "none", command, POSTRIVER_CLAMD=f"clamd://{at}")
    assert re.search(rf"clamd +at {at}: .*not listening", done.stdout), done.stdout


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letters").write_text("not ours")
    done = run(tmp_path, "up", "--detach")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert (tmp_path / "letters").read_text() == "not ours"


def test_the_help_of_role_lists_every_process_with_its_work(tmp_path: Path) -> None:
    lines = run(tmp_path, "role", "--help").stdout.splitlines()
    for name in (*ROLES, *EDGES, SETUP):
        assert any(line.startswith(f"  {name} ") for line in lines), name


def test_every_package_logs_at_the_level_of_the_settings() -> None:
    assert set(LOGGERS) == {"postriver", *LAYERS} - {"schemas"}

"""Commands of the documents work as typed; metrics that the documents name exist."""

import asyncio
import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from streams.config import Bootstrap
from tests.rules.test_alerts import NAME
from tests.support import ROOT, mails
from tests.support.stack_world import POSTRIVER, World
from tests.support.waiting import eventually
from tests.system.docs.pages import PAGES, name_of, shell_commands
from tests.system.paths.test_operator import families, series

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
NOT_TYPED = {  # a command's beginning, and why it is not run here
    "sudo apt install": "changes the machine",
    "git clone": "wants the project's address",
    "make ": "tests/stack/test_scripts.py",
    "install ": "for root, in /etc",
    "cp deploy/systemd/": "for root, in /etc",
    "systemctl ": "wants systemd",
    ".venv/bin/python -m streams.topology_doc": "tests/system/docs/test_extending.py",
    "POSTRIVER_HOME=/srv/postriver postriver up": "tests/system/backup/test_backup_live.py",
    "postriver dead-letters park": "tests/streams/worker/test_killers.py",
}

TYPED_ELSEWHERE = {"docs/api.md": "tests/api/test_api_page.py"}  # one script over the whole page
TYPED = [
    page for page in PAGES if name_of(page) not in TYPED_ELSEWHERE and shell_commands(page)
]  # fmt: skip


class Stranger:
    """A reader of a page, who replaces the page's example names."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._top = world.home.parent
        ann, *_ = (world.add_user(f"{name}@example.org") for name in ("ann", "bob", "cay"))
        mail = mails.plain("Words of a page")
        mail = re.sub(rb"Message-ID: <.*>", b"Message-ID: <2f8c@sender.example>", mail)
        self._mail_id = world.send(mail, "ann@example.org")
        self._message_id = eventually(lambda: ann.message_of(self._mail_id))["id"]
        self._spam_id = world.send(mails.gtube(), "ann@example.org")
        eventually(lambda: world.cli("quarantine", "show", self._spam_id, check=False).stdout)

    def typed(self, line: str) -> str:
        """The line as he types it."""
        now = datetime.now(UTC)
        mine: dict[str, str | Callable[[], str]] = {
            ".venv/bin/": "",
            "/srv/postriver": str(self._top / "restored"),
            "/mnt/backup": str(self._top / "backup"),
            "2026-11-24T10:15": now.strftime("%FT%H:%M"),
            "2026-11-24T10": now.strftime("%FT%H"),
            "2026-11-24": datetime.now().astimezone().strftime("%F"),
            "01a20d4b-79a5-76bd-bc5b-3b29eeabd3cf": self._mail_id,
            "ce11f26c-e5f0-557e-a3b8-b33ab00609ba": self._message_id,
            "MAIL_ID": self._spam_id if "quarantine" in line else self._mail_id,
            "3-17": self._letter,
        }
        for example, own in mine.items():
            if example in line:
                line = line.replace(example, own if isinstance(own, str) else own())
        return line

    def _letter(self) -> str:
        """A mail that waits for an operator."""
        return eventually(self._waiting, what="a dead letter")

    def _waiting(self) -> str | None:
        letters = json.loads(self._world.cli("dead-letters", "list", "--json").stdout)
        return next((one["id"] for one in letters if waits(one)), None)

    def run(self, line: str) -> None:
        path = f"{POSTRIVER.parent}:{self._world.env['PATH']}"
        done = subprocess.run(
            ["bash", "-c", line], env={**self._world.env, "PATH": path}, cwd="/", text=True,
            input="y\n", capture_output=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def waits(letter: dict) -> bool:
    return not letter.get("redriven_at") and not letter.get("discarded_at")


@pytest.fixture(scope="module")
def stranger(running: World) -> Stranger:
    running.cli("domain", "add", "example.org")
    asyncio.run(spoil(running.bootstrap))
    return Stranger(running)


async def spoil(bootstrap: Bootstrap) -> None:
    """Write what no stage can read, so that there is a dead letter."""
    async with AIOKafkaProducer(**bootstrap.options) as producer:
        await producer.send_and_wait("mail.validated", b"no event", key=b"nobody")


@pytest.mark.parametrize("page", TYPED, ids=name_of)
def test_what_a_page_says_can_be_typed(stranger: Stranger, page: Path) -> None:
    for line in shell_commands(page):
        if not line.startswith(tuple(NOT_TYPED)):
            stranger.run(stranger.typed(line))


def test_what_is_not_typed_stands_somewhere() -> None:
    lines = [line for page in TYPED for line in shell_commands(page)]
    for beginning in NOT_TYPED:
        assert any(line.startswith(beginning) for line in lines), f"{beginning}: a stale exception"
    assert all((ROOT / path).is_file() for pair in TYPED_ELSEWHERE.items() for path in pair)


def test_documented_metrics_are_there(running: World) -> None:
    """In full, or as the end of another one's name: `_open_connections`."""
    present = families(running)
    found = {*present, *series(present.values())}
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page.partition("## Metrics and alerts")[2].partition("\n### ")[0]
    for name in set(NAME.findall(page)):
        assert name.rstrip("_") in found, name
    for end in re.findall(r"`(_[a-z_]+)", table):
        assert any(name.endswith(end) for name in found), end

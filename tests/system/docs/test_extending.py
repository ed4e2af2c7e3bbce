"""The filter of docs/extending.md: its code is taken out of the page, built in, and filters."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.broker import Broker, started
from tests.system.docs.pages import blocks

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]
PAGE = ROOT / "docs" / "extending.md"
TREE = (
    "agents", "api", "cli", "docs", "edge", "mail", "operations", "parsing", "scanners", "schemas",
    "pop3", "resolving", "smtp", "stack", "stores", "streams", "tests",
)  # fmt: skip


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with started(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with what the page says done to it."""
    made = tmp_path_factory.mktemp("tree")
    for name in TREE:
        shutil.copytree(ROOT / name, made / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", made)
    (handler,) = [block for block in blocks(PAGE) if block.language == "python"]
    (made / handler.about).write_text(handler.text)
    (changes,) = [block for block in blocks(PAGE) if block.language == "diff"]
    subprocess.run(["git", "apply", "-"], input=changes.text.encode(), cwd=made, check=True)
    return made


def run(tree: Path, module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=tree, capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": str(tree)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_blocked_sender_goes_to_junk(tree: Path, tmp_path: Path, broker: Broker) -> None:
    found = json.loads(
        run(tree, "tests.system.docs.screened_role", broker.bootstrap.written(), str(tmp_path))
    )
    assert found == {
        "m1": ["junk", [["screen", "blocked"], ["route", "junk"]]],
        "m2": ["junk", [["screen", "blocked"], ["route", "junk"]]],
        "m3": ["inbox", [["screen", "passed"], ["route", "inbox"]]],
    }


def test_the_changed_project_passes_its_own_checks(tree: Path) -> None:
    run(tree, "ruff", "check", "--quiet", "agents", "cli", "schemas", "streams")
    run(tree, "ruff", "format", "--check", "--quiet", "agents", "cli", "schemas", "streams")
    run(tree, "streams.topology_doc")
    assert "`mail.screened`" in (tree / "docs" / "topology.md").read_text()
    run(tree, "pytest", "-q", "-p", "no:randomly", "tests/rules/test_tidy.py", "-k", "topic")

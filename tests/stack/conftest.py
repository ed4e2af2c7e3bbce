"""Folders and machines for the supervisor's tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.small_machine import Machine


@pytest.fixture
def home_path() -> Iterator[Path]:
    """Short enough for unix sockets, and reachable for an unprivileged user, unlike tmp_path."""
    path = Path(tempfile.mkdtemp(prefix="postriver-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def machine(home_path: Path) -> Iterator[Machine]:
    machine = Machine(home_path)
    yield machine
    machine.close()

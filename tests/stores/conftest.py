"""Fixtures: stores in a temporary folder, and writer processes, closed after each test."""

import asyncio
import os
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from stores.sqlite.mail_store.store import SqliteMailStore
from tests.support import ROOT

StartWriter = Callable[[str], Awaitable[Process]]


@pytest.fixture
async def sqlite_mail(tmp_path: Path) -> AsyncIterator[SqliteMailStore]:
    store = await SqliteMailStore.open(tmp_path / "mail.sqlite")
    yield store
    await store.close()


@pytest.fixture
async def start_writer(tmp_path: Path) -> AsyncIterator[StartWriter]:
    """Start tests/stores/writer.py with a kind of store in `tmp_path`; its stdout is a pipe."""
    started: list[Process] = []

    async def start(kind: str) -> Process:
        command = (sys.executable, "-m", "tests.stores.writer", kind, str(tmp_path))
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
def seeded() -> random.Random:
    """Random generator; POSTRIVER_SEED repeats a run, and a failed test prints its seed."""
    seed = int(os.environ.get("POSTRIVER_SEED") or random.randrange(2**32))
    print(f"POSTRIVER_SEED={seed}")
    return random.Random(seed)

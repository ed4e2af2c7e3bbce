"""One OpenSearch node for tests, started with the product's own configuration."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stack.engines.opensearch import PORTS, OpenSearchConfig, opensearch
from stack.state_folder import StateFolder
from tests.support import ROOT
from tests.support.broker import free_ports

JARS = ROOT / ".tools" / "opensearch" / "lib"
START_LIMIT_S = 240  # a busy machine takes half a minute


def free_http_port() -> int:
    """A port that the runner takes; those of the lower half are for stacks."""
    for port in PORTS[40:]:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    pytest.fail("no port is free for OpenSearch")


@contextmanager
def started(folder: Path) -> Iterator[int]:
    """Run a node within the block; yields its port."""
    port, (transport_port,) = free_http_port(), free_ports(1)
    config = OpenSearchConfig(lib=JARS, port=port, transport_port=transport_port, heap_max_mib=512)
    program = opensearch(StateFolder(folder / "home"), config)
    log = folder / "out.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            program.argv, env=program.env, cwd=program.cwd, stdout=out, stderr=out
        )
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while trouble := asyncio.run(program.ready()):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, trouble
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder / "home", ignore_errors=True)


def given_port() -> int | None:
    """The port of a node that runs already; None: tests start one."""
    port = os.environ.get("POSTRIVER_TEST_OPENSEARCH")
    return int(port) if port else None

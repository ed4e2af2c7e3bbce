"""One S3 server for tests, started with the product's own configuration."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.engines.versitygw import VersityGwConfig, keys, versitygw
from stack.state_folder import StateFolder
from stores.s3.objects import ObjectsConfig
from tests.support import ROOT
from tests.support.broker import free_ports

PROGRAM = ROOT / ".tools" / "versitygw" / "bin" / "versitygw"
START_LIMIT_S = 60


@contextmanager
def started(folder: Path) -> Iterator[ObjectsConfig]:
    """Run a server within the block; yields how to reach it."""
    home, (port,) = StateFolder(folder / "home"), free_ports(1)
    program = versitygw(home, VersityGwConfig(program=PROGRAM, port=port))
    process = subprocess.Popen(
        program.argv, env=program.env, cwd=program.cwd,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    access_key, secret_key = keys(home)
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while trouble := asyncio.run(program.ready()):
            assert process.poll() is None, trouble
            assert time.monotonic() < deadline, trouble
            time.sleep(0.05)
        yield ObjectsConfig(
            endpoint=f"http://127.0.0.1:{port}", access_key=access_key, secret_key=secret_key
        )
    finally:
        process.terminate()
        process.wait(30)

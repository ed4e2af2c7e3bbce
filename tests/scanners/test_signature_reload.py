"""Reload of signatures: no scan fails while freshclam fetches a new signature from a mirror."""

import asyncio
import functools
import http.server
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanners.clamd import ClamdScanner, ClamdScannerConfig
from stack.engines.clamd import ClamdConfig, clamd
from stack.engines.freshclam import NO_MIRROR, FreshclamConfig, freshclam
from stack.state_folder import FOLDERS, StateFolder
from tests.contracts.scanner_mails import CLEAN, with_attachment
from tests.scanners.conftest import Engine
from tests.support.engine import NOBODY, give_to_nobody

pytestmark = pytest.mark.engines

NEW = b"a virus of tomorrow: " + bytes(range(1, 60))
FILLING = "".join(f"Nobody.Has.This-{n}:0:*:{n:032x}\n" for n in range(1, 60_000))


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        return


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The folder of an HTTP server on the loopback interface, and the URL of a file in it."""
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}/new.ndb"
        server.shutdown()
        thread.join()


@pytest.fixture
def home() -> Iterator[StateFolder]:
    folder = Path(tempfile.mkdtemp(prefix="pr-", dir="/tmp"))
    for sub in FOLDERS:
        (folder / sub).mkdir(mode=0o700)
    home = StateFolder(folder)
    config = ClamdConfig(official=folder / "none", update=True, memory_bytes=64 * 1024**3)
    engine = Engine(clamd(home, config), home.socket("clamd"))
    give_to_nobody(folder)
    try:
        engine.start()
        yield home
    finally:
        engine.stop()
        shutil.rmtree(folder)


def fetch(home: StateFolder, url: str) -> str:
    """Run one check of the freshclam daemon, and return its output."""
    program = freshclam(home, FreshclamConfig(mirror=NO_MIRROR, urls=(url,)))
    give_to_nobody(home.engine("freshclam"))  # only this folder: clamd uses its own
    argv = [word for word in program.argv if word not in {"--daemon", "--foreground"}]
    done = subprocess.run(
        argv, env=dict(program.env), cwd=program.cwd, capture_output=True, text=True,
        check=False, **NOBODY,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_no_scan_fails_while_signatures_are_replaced(home: StateFolder, mirror) -> None:
    folder, url = mirror
    (folder / "new.ndb").write_text(f"{FILLING}Of.Tomorrow:0:*:{NEW.hex()}\n")
    scanner = ClamdScanner(ClamdScannerConfig(address=home.socket("clamd")))
    mail = with_attachment(NEW)
    assert (await scanner.scan(mail)).virus == ""
    fetching = asyncio.create_task(asyncio.to_thread(fetch, home, url))
    scans = 0
    async with asyncio.timeout(60):
        while not (fetching.done() and (await scanner.scan(mail)).virus):
            clean = await asyncio.gather(*(scanner.scan(CLEAN) for _ in range(4)))
            assert [report.virus for report in clean] == [""] * 4
            scans += 4
    assert "notified" in (await fetching)
    assert scans >= 4
    assert "Of.Tomorrow" in (await scanner.scan(mail)).virus

"""clamd on a unix socket, with its own configuration and no updater.

It takes our largest mail and says so when a limit is hit, instead of calling the rest clean.
Without the official signatures it knows one test virus only, which everybody who asks is told.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stack.home import Home
from stack.probes import PingProbe
from stack.program import Kind, Program, base_env

NAME = "clamd"
MIB = 1024 * 1024
OFFICIAL_FOLDER = Path("/var/lib/clamav")
TEST_SET_WARNING = "virus signatures: TEST SET ONLY"

# The EICAR test file (68 bytes of text), in hexadecimal so that scanners do not stop at this file.
# As a body signature it is found inside MIME parts and archives too.
_EICAR_HEX = (
    "58354f2150254041505b345c505a58353428505e2937434329377d24"
    "45494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a"
)
_SIGNATURES = f"Eicar-Test-Signature:0:*:{_EICAR_HEX}\n"


class ClamdMissing(Exception):
    """No clamd on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClamdConfig:
    program: Path = Path("/usr/sbin/clamd")
    official: Path = OFFICIAL_FOLDER  # where freshclam, if the operator runs it, puts its sets
    mail_max_bytes: int = 50 * MIB
    scan_max_bytes: int = 400 * MIB  # all decoded parts of one mail together
    threads: int = 4
    start_timeout_s: float = 300.0  # the official set takes tens of seconds on a slow disk


def clamd(home: Home, config: ClamdConfig | None = None) -> Program:
    """Write configuration and, if need be, the test signatures; tell how to start. ClamdMissing."""
    config = config or ClamdConfig()
    which = signatures(config.official)
    folder = home.engine(NAME)
    conf = folder / "clamd.conf"
    conf.write_text(_conf(home, config, _database(folder, which, config)), encoding="utf-8")
    return Program(
        name=NAME,
        kind=Kind.ENGINE,
        argv=(str(_own_copy(config.program, folder)), "--config-file", str(conf)),
        env=base_env(home),
        cwd=folder,
        ready=PingProbe(home.socket(NAME), b"zPING\0", b"PONG"),
        detail=f"signatures: {which}",
        start_timeout_s=config.start_timeout_s,
        unhealthy_after=24,
    )


def signatures(folder: Path = OFFICIAL_FOLDER) -> Literal["official", "test"]:
    """Whether the official set (main and daily) is there and can be read."""
    for name in ("main", "daily"):
        files = [folder / f"{name}.{suffix}" for suffix in ("cvd", "cld")]
        if not any(os.access(file, os.R_OK) for file in files):
            return "test"
    return "official"


def _database(folder: Path, which: str, config: ClamdConfig) -> Path:
    if which == "official":
        return config.official
    own = folder / "signatures"
    own.mkdir(mode=0o700, exist_ok=True)
    (own / "test.ndb").write_text(_SIGNATURES, encoding="ascii")
    return own


def _own_copy(program: Path, folder: Path) -> Path:
    """A copy of the program: Debian's AppArmor profile of /usr/sbin/clamd forbids our folders."""
    if not program.exists():
        raise ClamdMissing(f"no {program}; install it: apt install clamav-daemon")
    own = folder / "clamd"
    found = program.stat()
    if not own.exists() or (own.stat().st_size, own.stat().st_mtime_ns) != (
        found.st_size,
        found.st_mtime_ns,
    ):
        fresh = folder / "clamd.new"
        shutil.copy2(program, fresh)
        fresh.chmod(0o700)
        fresh.replace(own)
    return own


def _conf(home: Home, config: ClamdConfig, database: Path) -> str:
    limit = config.mail_max_bytes + MIB  # trace headers come on top
    lines = {
        "Foreground": "yes",
        "LogTime": "yes",
        "LocalSocket": home.socket(NAME),
        "LocalSocketMode": "600",
        "FixStaleSocket": "yes",
        "DatabaseDirectory": database,
        "TemporaryDirectory": home.scratch(NAME),
        "StreamMaxLength": limit,
        "MaxFileSize": config.scan_max_bytes,  # of an unpacked part too
        "MaxScanSize": config.scan_max_bytes,
        "MaxScanTime": 60_000,  # ms; below the scanners' patience, so that clamd itself says so
        "MaxFiles": 10_000,
        "AlertExceedsMax": "yes",
        "MaxThreads": config.threads,
        "ReadTimeout": 120,
        "CommandReadTimeout": 30,
        "ConcurrentDatabaseReload": "no",  # twice the memory otherwise
        "ExitOnOOM": "yes",  # the supervisor starts it again
    }
    return "".join(f"{key} {value}\n" for key, value in lines.items())

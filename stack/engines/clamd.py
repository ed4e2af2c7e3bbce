"""clamd on a unix socket, with its own configuration.

clamd accepts the largest mail, and reports a hit limit instead of calling the rest clean. New
signatures are loaded while the old set is in use, if memory suffices for both; otherwise scans wait
until the new set is loaded. No scan fails either way.
"""

from dataclasses import dataclass, field
from pathlib import Path

import psutil

from stack.engines import virus_signatures
from stack.engines.private_copy import own_copy
from stack.state_folder import StateFolder
from stack.supervision.probes import PingProbe
from stack.supervision.program import Program, ProgramKind, base_env

NAME = "clamd"
MIB = 1024 * 1024
RELOAD_MEMORY_MIN_BYTES = 6 * 1024 * MIB  # of the machine: two official sets take about 2.2 GiB


class ClamdMissing(Exception):
    """No clamd on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClamdConfig:
    program: Path = Path("/usr/sbin/clamd")
    official: Path = virus_signatures.OFFICIAL_FOLDER
    update: bool = False  # the stack's freshclam fetches sets
    memory_bytes: int = field(default_factory=lambda: psutil.virtual_memory().total)
    mail_max_bytes: int = 50 * MIB
    scan_max_bytes: int = 400 * MIB  # all decoded parts of one mail together
    threads: int = 4
    start_timeout_s: float = 300.0  # the official set takes tens of seconds on a slow disk


def clamd(home: StateFolder, config: ClamdConfig | None = None) -> Program:
    """Write the configuration and missing test signatures; return the program.

    Raises ClamdMissing.
    """
    config = config or ClamdConfig()
    if not config.program.exists():
        raise ClamdMissing(f"no {config.program}; install it: apt install clamav-daemon")
    folder = home.engine(NAME)
    database = virus_signatures.prepare(home, update=config.update, official=config.official)
    conf = conf_path(home)
    home.scratch(NAME)
    conf.write_text(configuration(home, config, database), encoding="utf-8")
    return Program(
        name=NAME,
        kind=ProgramKind.ENGINE,
        argv=(str(own_copy(config.program, folder)), "--config-file", str(conf)),
        env=base_env(home),
        cwd=folder,
        ready=ping(home),
        detail=f"signatures: {database}",
        start_timeout_s=config.start_timeout_s,
        unhealthy_after=24,
    )


def two_sets_fit(config: ClamdConfig) -> bool:
    """Whether memory suffices for the old and the new signatures at once."""
    return config.memory_bytes >= RELOAD_MEMORY_MIN_BYTES


def ping(home: StateFolder) -> PingProbe:
    return ping_at(home.socket(NAME))


def ping_at(address: Path | tuple[str, int]) -> PingProbe:
    return PingProbe(address, b"zPING\0", b"PONG")


def conf_path(home: StateFolder) -> Path:
    return home.engine(NAME) / "clamd.conf"


def configuration(home: StateFolder, config: ClamdConfig, database: Path) -> str:
    """The text of clamd.conf."""
    limit = config.mail_max_bytes + MIB  # trace headers come on top
    lines = {
        "Foreground": "yes",
        "LogTime": "yes",
        "LocalSocket": home.socket(NAME),
        "LocalSocketMode": "600",
        "FixStaleSocket": "yes",
        "DatabaseDirectory": database,
        "TemporaryDirectory": home.engine(NAME) / "tmp",
        "StreamMaxLength": limit,
        "MaxFileSize": config.scan_max_bytes,  # of an unpacked part too
        "MaxScanSize": config.scan_max_bytes,
        "MaxScanTime": 60_000,  # ms; below the scanner adapter's timeout, so clamd reports it
        "MaxFiles": 10_000,
        "AlertExceedsMax": "yes",
        "AlertEncrypted": "yes",  # archives and documents; a virus next to them is reported first
        "MaxThreads": config.threads,
        "ReadTimeout": 120,
        "CommandReadTimeout": 30,
        "SelfCheck": 600,  # s; interval to notice changed sets
        "ConcurrentDatabaseReload": "yes" if two_sets_fit(config) else "no",
        "ExitOnOOM": "yes",  # the supervisor starts it again
    }
    return "".join(f"{key} {value}\n" for key, value in lines.items())

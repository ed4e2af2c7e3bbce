"""freshclam under the supervisor: fetches signatures into HOME/signatures and makes clamd reload.

It runs only with POSTRIVER_SIGNATURES=update; otherwise no request leaves the machine. A mirror
that does not answer is asked again at the next check. Mail does not wait for freshclam.
"""

from dataclasses import dataclass
from pathlib import Path

from stack.engines import clamd
from stack.engines.private_copy import own_copy
from stack.state_folder import StateFolder
from stack.supervision.program import Program, ProgramKind, base_env

NAME = "freshclam"
PUBLIC_MIRROR = "database.clamav.net"
NO_MIRROR = "none"


class FreshclamMissing(Exception):
    """No freshclam on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshclamConfig:
    """Where signatures come from.

    `mirror`: PUBLIC_MIRROR (DNS for the version, then HTTPS), the URL of a private mirror (no DNS),
    or NO_MIRROR. `urls`: further databases, by http, https or file.
    """

    program: Path = Path("/usr/bin/freshclam")
    mirror: str = PUBLIC_MIRROR
    urls: tuple[str, ...] = ()
    checks_per_day: int = 12


def freshclam(home: StateFolder, config: FreshclamConfig | None = None) -> Program:
    """Write the configuration and return the program. Raises FreshclamMissing."""
    config = config or FreshclamConfig()
    if not config.program.exists():
        raise FreshclamMissing(f"no {config.program}; install it: apt install clamav-freshclam")
    folder = home.engine(NAME)
    conf = folder / "freshclam.conf"
    conf.write_text(_conf(home, config), encoding="utf-8")
    conf.chmod(0o600)  # freshclam refuses a file that others may write
    return Program(
        name=NAME,
        kind=ProgramKind.ENGINE,
        argv=(
            str(own_copy(config.program, folder)),
            "--daemon",
            "--foreground",
            "--stdout",
            f"--config-file={conf}",
        ),
        env=base_env(home),
        cwd=folder,
        after=(clamd.NAME,),
        detail=f"from {', '.join(_places(config))}",
        needed=False,
    )


def _places(config: FreshclamConfig) -> list[str]:
    mirror = [] if config.mirror == NO_MIRROR else [config.mirror]
    return [*mirror, *([f"own URLs: {len(config.urls)}"] if config.urls else [])] or ["nowhere"]


def _conf(home: StateFolder, config: FreshclamConfig) -> str:
    lines = [
        f"DatabaseDirectory {home.signatures}",
        f"NotifyClamd {clamd.conf_path(home)}",
        f"Checks {config.checks_per_day}",
        "LogTime yes",
        "ConnectTimeout 30",
        "ReceiveTimeout 3600",  # of one file, on a slow line
        "MaxAttempts 3",
        "TestDatabases yes",  # a broken set never reaches clamd
        *_source(config.mirror),
        *(f"DatabaseCustomURL {url}" for url in config.urls),
    ]
    return "\n".join(lines) + "\n"


def _source(mirror: str) -> list[str]:
    if mirror == PUBLIC_MIRROR:
        return [f"DatabaseMirror {mirror}"]
    if mirror == NO_MIRROR:  # freshclam requires a mirror; a private mirror needs no DNS
        sets = ("main", "daily", "bytecode")
        return ["PrivateMirror http://127.0.0.1:9", *(f"ExcludeDatabase {name}" for name in sets)]
    return [f"PrivateMirror {mirror}"]

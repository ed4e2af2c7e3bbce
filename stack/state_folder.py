"""State folder: the directory with all state of a stack, owned by one supervisor at a time.

Reads and writes `version`, `lock` and the folders below. A folder of a newer version, a folder
that is no state folder, and a folder that a running supervisor holds are refused with a message
for the operator.
"""

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.durable_files import make_folder, sync, write

VERSION = 1
FOLDERS = ("run", "log", "kafka", "data", "content", "tls", "engines", "signatures", "secrets")
SOCKET_PATH_MAX_BYTES = 100  # sun_path holds 108; a margin for suffixes that servers add
MIGRATIONS: Mapping[int, Callable[[Path], None]] = {}  # from version n to n + 1


class StateFolderError(Exception):
    """The state folder cannot be used; the message says why and what to do."""


class NoState(StateFolderError):
    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: no Postriver state here yet; start one with `make run`")


class NewerState(StateFolderError):
    def __init__(self, path: Path, found: int, ours: int) -> None:
        super().__init__(
            f"{path}: state has version {found}, this Postriver knows up to {ours}; "
            "use the newer Postriver, or another POSTRIVER_HOME"
        )


class AlreadyRunning(StateFolderError):
    def __init__(self, path: Path, pid: int) -> None:
        super().__init__(f"{path}: already running, pid {pid}")
        self.pid = pid


@dataclass(frozen=True, slots=True)
class StateFolder:
    """A state folder. Its folders are private to the owner (0700)."""

    path: Path

    @property
    def run(self) -> Path:  # sockets and records of running processes
        return self.path / "run"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def kafka(self) -> Path:
        return self.path / "kafka"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def content(self) -> Path:
        return self.path / "content"

    @property
    def tls(self) -> Path:
        return self.path / "tls"

    @property
    def signatures(self) -> Path:  # of viruses
        return self.path / "signatures"

    @property
    def engines(self) -> Path:
        """Return the folder of the engines' configuration and temporary files."""
        return self.path / "engines"

    def socket(self, name: str) -> Path:
        """Return the unix socket of process `name`: run/NAME.sock, see `socket_path`."""
        return socket_path(self.path, name)

    def engine(self, name: str) -> Path:
        """Return the private folder of engine `name`, created on demand."""
        folder = self.engines / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def scratch(self, name: str) -> Path:
        """Return an empty folder for temporary files of engine `name`; old files are removed."""
        folder = self.engine(name) / "tmp"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        return folder


def existing(path: Path) -> StateFolder:
    """Return the state folder at `path`, for commands that only use it.

    Raises NoState, NewerState.
    """
    if (found := version_of(path)) > VERSION:
        raise NewerState(path, found, VERSION)
    return StateFolder(path.resolve())


def version_of(path: Path) -> int:
    """Return the version of the state at `path`. Raises NoState."""
    found = _version(path)
    if found is None:
        raise NoState(path)
    return found


@contextmanager
def claimed(
    path: Path,
    *,
    version: int = VERSION,
    migrations: Mapping[int, Callable[[Path], None]] = MIGRATIONS,
) -> Iterator[StateFolder]:
    """Create or migrate the folder and hold its lock until the block ends.

    Raises AlreadyRunning: another process holds it; NewerState; StateFolderError: the folder is no
    state folder.
    """
    _create(path)
    with _locked(path):
        _migrate(path, version, migrations)
        home = StateFolder(path.resolve())
        for name in FOLDERS:
            (home.path / name).mkdir(mode=0o700, exist_ok=True)
        sync(home.path)
        yield home


def lock_holder(path: Path) -> int | None:
    """Return the pid that holds the folder's lock, or None."""
    try:
        descriptor = os.open(path / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _noted_pid(descriptor)
    finally:
        os.close(descriptor)
    return None


def socket_path(home: Path, name: str) -> Path:
    """Return HOME/run/NAME.sock, or a path in a private folder if that is too long for a socket.

    Every process computes the same path from the same home.
    """
    path = home.resolve() / "run" / f"{name}.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_MAX_BYTES:
        return path
    return _short_folder(home.resolve()) / f"{name}.sock"


def _short_folder(home: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"postriver-{os.geteuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
    if not private or found.st_uid != os.geteuid():
        raise StateFolderError(f"{folder}: must be a folder of ours with mode 0700; remove it")
    return folder


def _create(path: Path) -> None:
    make_folder(path)
    if _version(path) is not None:
        return
    ours = {"lock", "log"}  # left by an interrupted first start
    strangers = sorted(entry.name for entry in path.iterdir() if entry.name not in ours)
    if strangers:
        raise StateFolderError(
            f"{path}: not empty and not a state folder of ours ({strangers[0]}, …)"
        )


def _version(path: Path) -> int | None:
    try:
        text = (path / "version").read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as cause:
        raise StateFolderError(f"{path / 'version'}: {cause}") from cause
    if not text.strip().isdecimal():
        raise StateFolderError(f"{path / 'version'}: expected a number, found {text[:20]!r}")
    return int(text)


def _migrate(path: Path, version: int, migrations: Mapping[int, Callable[[Path], None]]) -> None:
    found = _version(path)
    if found is not None and found > version:
        raise NewerState(path, found, version)
    for step in range(version if found is None else found, version):
        if step not in migrations:
            raise StateFolderError(f"{path}: no way from state version {step} to {version}")
        migrations[step](path)
        write(path / "version", f"{step + 1}\n")
    if found is None:
        write(path / "version", f"{version}\n")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive flock; the kernel releases it when the process ends in any way."""
    descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _lock_soon(descriptor):
            raise AlreadyRunning(path, _noted_pid(descriptor))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock_soon(descriptor: int, *, tries: int = 6, pause_s: float = 0.05) -> bool:
    """Try several times: `lock_holder` in another process holds the lock for an instant."""
    for _ in range(tries):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause_s)
        else:
            return True
    return False


def _noted_pid(descriptor: int) -> int:
    """Return the pid in the lock file; 0 before its holder has written it."""
    return int(os.pread(descriptor, 20, 0) or b"0")

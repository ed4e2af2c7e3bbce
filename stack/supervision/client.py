"""Client of the supervisor for other processes: start it detached, query it, stop it.

HOME/run/supervisor.json has the address of the operator's server, HOME/run/settings.json the
addresses that the stack was started with. Both files name the pid, and count only while that
process holds the state folder.
"""

import http.client
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from stack.logs import last_lines
from stack.state_folder import NoState, StateFolder, existing, lock_holder
from stack.supervision.orphan_processes import ProcessRecords, end
from stack.supervision.program import REFUSED

POLL_S = 0.1
ASK_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 60.0


class StartFailed(Exception):
    """The stack did not become ready and was stopped again; the message says why."""

    def __init__(self, reason: str, *, is_refused: bool = False) -> None:
        super().__init__(reason)
        self.is_refused = is_refused  # another start would end in the same way


class NotRunning(Exception):
    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: not running; start it with `make run` or `make up`")


def write_running(home: StateFolder, ops: tuple[str, int]) -> None:
    _write(home.run / "supervisor.json", {"pid": os.getpid(), "ops": list(ops)})


def write_settings(home: StateFolder, settings: Mapping[str, str]) -> None:
    """Write the settings for commands that talk to the stack of this supervisor."""
    _write(home.run / "settings.json", {"pid": os.getpid(), "settings": dict(settings)})


def _write(path: Path, content: Mapping[str, object]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(content), encoding="ascii")
    fresh.replace(path)


def read_settings(path: Path) -> dict[str, str]:
    """Return the settings of the stack that runs on `path`; empty if they are unknown."""
    try:
        found = _of(lock_holder(path), path / "run" / "settings.json").get("settings")
    except PermissionError:
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(name): value for name, value in pairs if isinstance(value, str)}


def read_status(path: Path) -> dict[str, Any]:
    """Return the running supervisor's /status. Raises NotRunning, StateFolderError."""
    home = existing(path)
    address = _ops_address(home.path, lock_holder(home.path))
    try:
        answer = None if address is None else _ask(address, "/status")
    except (OSError, http.client.HTTPException, ValueError):
        answer = None
    if answer is None:
        raise NotRunning(path)
    return answer[1]


def spawn_detached(
    argv: Sequence[str], path: Path, *, env: Mapping[str, str], timeout_s: float
) -> int:
    """Start `argv`, a command that runs the supervisor on `path`, detached; return its pid.

    Returns when the stack is ready. Output goes to HOME/log/start.log. `argv[0]` is a path.
    Raises StartFailed, after everything was stopped again: the supervisor ended, or was not ready
    within `timeout_s`.
    """
    pid = _spawn(argv, path, env)
    reason = _await_ready(pid, path, time.monotonic() + timeout_s)
    if reason is None:
        return pid
    _signal(pid, signal.SIGTERM)
    with suppress(NoState):
        stop(path)
    raise StartFailed(reason)


def _spawn(argv: Sequence[str], path: Path, env: Mapping[str, str]) -> int:
    """Start by posix_spawn: subprocess would require a wait for this process."""
    log_path = path / "log" / "start.log"
    log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = (
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log_path), flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    )
    return os.posix_spawn(argv[0], list(argv), dict(env), file_actions=actions, setsid=True)


def stop(path: Path, *, timeout_s: float = STOP_TIMEOUT_S) -> bool:
    """Stop the stack of `path` and its remaining processes; return whether any was running."""
    home = existing(path)
    pid = lock_holder(path)
    if pid:
        _signal(pid, signal.SIGTERM)
        if not _gone(path, pid, timeout_s):
            _signal(pid, signal.SIGKILL)
            _gone(path, pid, 5.0)
    left = end(ProcessRecords(home).read())
    return bool(pid or left)


def _await_ready(pid: int, path: Path, deadline: float) -> str | None:
    """Wait for /readyz; return None when it is ready, else the reason.

    Raises StartFailed: the supervisor ended.
    """
    reason = "no answer yet"
    while time.monotonic() < deadline:
        code = _exit_code(pid)
        if code == REFUSED:
            raise StartFailed("\n".join(last_lines(path / "log" / "start.log", 1)), is_refused=True)
        if code is not None:
            lines = last_lines(path / "log" / "start.log")
            raise StartFailed("\n".join(lines) or "it ended without a word")
        ready, reason = _readiness(path, pid, reason)
        if ready:
            return None
        time.sleep(POLL_S)
    return f"not ready in time: {reason}"


def _exit_code(pid: int) -> int | None:
    """The exit code of the child `pid`, which is reaped; None: it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended == pid else None


def _readiness(path: Path, pid: int, before: str) -> tuple[bool, str]:
    address = _ops_address(path, pid)
    if address is None:
        return False, before
    try:
        status, body = _ask(address, "/readyz")
    except (OSError, http.client.HTTPException, ValueError) as cause:
        return False, f"port {address[1]}: {cause}"
    reasons = body.get("reasons", {})
    return status == 200, ", ".join(f"{name}: {why}" for name, why in reasons.items()) or before


def _ops_address(path: Path, pid: int | None) -> tuple[str, int] | None:
    """Return the address of the supervisor with this pid; None before it is known."""
    try:
        host, port = _of(pid, path / "run" / "supervisor.json")["ops"]
        return str(host), int(port)
    except (ValueError, KeyError, TypeError):
        return None


def _of(pid: int | None, path: Path) -> dict[str, Any]:
    """Return the content of the file if process `pid` wrote it, else an empty dict."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and pid and found.get("pid") == pid else {}


def _ask(address: tuple[str, int], page: str) -> tuple[int, dict[str, Any]]:
    """Query the port directly, without an HTTP proxy of the operator's shell."""
    connection = http.client.HTTPConnection(*address, timeout=ASK_TIMEOUT_S)
    try:
        connection.request("GET", page)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        return answer.status, body if isinstance(body, dict) else {}
    finally:
        connection.close()


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _gone(path: Path, pid: int, timeout_s: float) -> bool:
    """Whether the supervisor released its lock and then ended."""
    deadline = time.monotonic() + timeout_s
    while lock_holder(path) == pid or _runs(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

"""The state folder: version, owner, permissions, lock, what a former run left; certificate."""

import os
import stat
import time
from pathlib import Path

from cli.doctor.finding import Finding, note, ok, problem
from stack.state_folder import FOLDERS, StateFolder, StateFolderError, existing, lock_holder
from stack.supervision.orphan_processes import ProcessRecords, members

OTHERS = stat.S_IRWXG | stat.S_IRWXO
# What only the owner may look into.
PRIVATE = ("data", "content", "kafka", "tls", "run", "log", "secrets")
DAY_S = 86_400
BACKUP_OLD_S = 8 * DAY_S


def state(path: Path) -> list[Finding]:
    try:
        home = existing(path)
    except StateFolderError as error:
        return [problem("state", str(error), "make run, or set POSTRIVER_HOME")]
    return [
        ok("state", f"{home.path}, version {(path / 'version').read_text().strip()}"),
        *private(home),
        *owned(home),
        *left_over(home),
    ]


def private(home: StateFolder) -> list[Finding]:
    open_ones = [
        path
        for path in (home.path, *(home.path / name for name in PRIVATE))
        if path.exists() and path.stat().st_mode & OTHERS
    ]
    # Inside a closed folder nothing can be opened, whatever its own mode.
    if open_ones[:1] == [home.path]:
        what = f"other users of this machine can look into {home.path}"
        return [problem("permissions", what, f"chmod 700 {home.path}")]
    if open_ones:
        names = " ".join(map(str, open_ones))
        return [note("permissions", f"wider than we make them: {names}", f"chmod 700 {names}")]
    return [ok("permissions", "only the owner can look into it")]


def owned(home: StateFolder) -> list[Finding]:
    """All of one owner, and that one is us: a file of root's stops what must write it."""
    owner = home.path.stat().st_uid
    strangers = [
        path
        for folder in (home.path, *(home.path / name for name in (*FOLDERS, "kafka/log")))
        if folder.is_dir() and os.access(folder, os.R_OK)
        for path in folder.iterdir()
        if _owner(path) not in (owner, None)
    ]
    if strangers:
        what = f"{strangers[0]} belongs to somebody else, {len(strangers)} do"
        return [problem("owner", what, f"sudo chown -R {owner} {home.path}")]
    if not os.access(home.path, os.W_OK):
        what = f"{home.path} cannot be written by us"
        return [problem("owner", what, f"be user {owner}, or: sudo postriver doctor")]
    return [ok("owner", f"user {owner}")]


def _owner(path: Path) -> int | None:
    """None for what has just gone: files come and go, this doctor's own probes of the disk too."""
    try:
        return path.lstat().st_uid
    except FileNotFoundError:
        return None


def left_over(home: StateFolder) -> list[Finding]:
    pid = lock_holder(home.path)
    if pid is not None:
        return [ok("lock", f"held by the supervisor, pid {pid}")]
    left = sorted({record.name for record in ProcessRecords(home).read() if members(record)})
    if left:
        what = f"nothing is supervised, yet these run: {', '.join(left)}"
        return [problem("lock", what, "postriver down")]
    return [ok("lock", "free")]


def backup(age_s: float | None) -> list[Finding]:
    do = "postriver backup DIR, with DIR on another disk or machine"
    if age_s is None:
        return [note("backup", "none was made here yet", do)]
    what = f"the last one is {age_s / DAY_S:.0f} days old"
    return [note("backup", what, do) if age_s > BACKUP_OLD_S else ok("backup", what)]


def certificate(ends_s: float | None, now_s: float | None = None) -> list[Finding]:
    if ends_s is None:
        return [note("certificate", "none that can be read", "one is made at the next start")]
    left_days = (ends_s - (time.time() if now_s is None else now_s)) / DAY_S
    do = "put a new one in its place; see docs/operations.md"
    if left_days < 0:
        return [problem("certificate", f"ended {-left_days:.0f} days ago", do)]
    if left_days < 7:
        return [problem("certificate", f"ends in {left_days:.0f} days", do)]
    if left_days < 30:
        return [note("certificate", f"ends in {left_days:.0f} days", do)]
    return [ok("certificate", f"good for {left_days:.0f} days")]

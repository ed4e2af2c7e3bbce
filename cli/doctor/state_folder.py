"""State folder: version, owner, permissions, lock, orphan processes; backup and certificate."""

import os
import stat
import time
from pathlib import Path

from cli.doctor.finding import Finding, note, ok, problem
from stack.state_folder import FOLDERS, StateFolder, StateFolderError, existing, lock_holder
from stack.supervision.orphan_processes import ProcessRecords, members

OTHERS = stat.S_IRWXG | stat.S_IRWXO
PRIVATE = ("data", "content", "kafka", "tls", "run", "log", "secrets")  # for the owner only
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
        *lock(home),
    ]


def private(home: StateFolder) -> list[Finding]:
    readable = [
        path
        for path in (home.path, *(home.path / name for name in PRIVATE))
        if path.exists() and path.stat().st_mode & OTHERS
    ]
    # The modes inside a folder that is closed to others do not matter.
    if readable[:1] == [home.path]:
        what = f"other users of this machine can read {home.path}"
        return [problem("permissions", what, f"chmod 700 {home.path}")]
    if readable:
        names = " ".join(map(str, readable))
        return [
            note("permissions", f"wider than Postriver sets them: {names}", f"chmod 700 {names}")
        ]
    return [ok("permissions", "only the owner can read it")]


def owned(home: StateFolder) -> list[Finding]:
    """Check that all files belong to the present user.

    A file of root would stop the process that must write it.
    """
    owner = home.path.stat().st_uid
    foreign = [
        path
        for folder in (home.path, *(home.path / name for name in (*FOLDERS, "kafka/log")))
        if folder.is_dir() and os.access(folder, os.R_OK)
        for path in folder.iterdir()
        if _owner(path) not in (owner, None)
    ]
    if foreign:
        what = f"{foreign[0]} belongs to another user; {len(foreign)} such files"
        return [problem("owner", what, f"sudo chown -R {owner} {home.path}")]
    if not os.access(home.path, os.W_OK):
        what = f"{home.path} is not writable"
        return [problem("owner", what, f"be user {owner}, or: sudo postriver doctor")]
    return [ok("owner", f"user {owner}")]


def _owner(path: Path) -> int | None:
    """Return the owner; None if the file was deleted meanwhile, such as the doctor's own probes."""
    try:
        return path.lstat().st_uid
    except FileNotFoundError:
        return None


def lock(home: StateFolder) -> list[Finding]:
    pid = lock_holder(home.path)
    if pid is not None:
        return [ok("lock", f"held by the supervisor, pid {pid}")]
    orphans = sorted({record.name for record in ProcessRecords(home).read() if members(record)})
    if orphans:
        what = f"no supervisor runs, but these processes do: {', '.join(orphans)}"
        return [problem("lock", what, "postriver down")]
    return [ok("lock", "free")]


def backup(age_s: float | None) -> list[Finding]:
    do = "postriver backup DIR, with DIR on another disk or machine"
    if age_s is None:
        return [note("backup", "no backup was made here yet", do)]
    what = f"the last backup is {age_s / DAY_S:.0f} days old"
    return [note("backup", what, do) if age_s > BACKUP_OLD_S else ok("backup", what)]


def certificate(ends_s: float | None, now_s: float | None = None) -> list[Finding]:
    if ends_s is None:
        return [note("certificate", "no readable certificate", "the next start creates it")]
    left_days = (ends_s - (time.time() if now_s is None else now_s)) / DAY_S
    do = "replace it; see docs/operations.md"
    if left_days < 0:
        return [problem("certificate", f"ended {-left_days:.0f} days ago", do)]
    if left_days < 7:
        return [problem("certificate", f"ends in {left_days:.0f} days", do)]
    if left_days < 30:
        return [note("certificate", f"ends in {left_days:.0f} days", do)]
    return [ok("certificate", f"good for {left_days:.0f} days")]

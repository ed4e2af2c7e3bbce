"""Whatever reads mail runs unprivileged: root becomes the user who owns the state folder."""

import os
import pwd
import sys
from pathlib import Path

from stack.durable import make_folder

SERVICE_USER = "postriver"  # made by `make run` as root


class PrivilegeError(Exception):
    """Root cannot become the service user; the message says what to do."""


def become(path: Path, *, user: str = SERVICE_USER) -> None:
    """As root: make the state folder at `path` if need be and become its owner, for good.

    Every command that touches state calls this first. For anybody else it does nothing.
    PrivilegeError when there is no such user, or the user cannot read this program.
    """
    if os.geteuid() != 0:
        return
    owner = _owner(path, user)
    os.setgroups([])
    os.setgid(owner.pw_gid)
    os.setuid(owner.pw_uid)
    os.umask(0o077)
    _check_reachable(path, owner.pw_name)


def _owner(path: Path, user: str) -> pwd.struct_passwd:
    """Who owns `path`; a folder of root's that is still empty is given to `user`."""
    make_folder(path)
    found = path.stat()
    if found.st_uid != 0:
        return pwd.getpwuid(found.st_uid)
    if any(path.iterdir()):
        raise PrivilegeError(f"{path} belongs to root; give it away: chown -R {user}: {path}")
    try:
        service = pwd.getpwnam(user)
    except KeyError:
        raise PrivilegeError(f"there is no user {user} yet; `make run` creates it") from None
    os.chown(path, service.pw_uid, service.pw_gid)
    return service


def _check_reachable(path: Path, user: str) -> None:
    code = Path(__file__).resolve().parent
    for needed, mode in ((Path(sys.executable), os.X_OK), (code, os.R_OK), (path, os.W_OK)):
        if not os.access(needed, mode):
            raise PrivilegeError(
                f"user {user} cannot use {needed}; start with `make run`, which keeps a copy where "
                "that user can read it, or move the checkout out of a private folder"
            )

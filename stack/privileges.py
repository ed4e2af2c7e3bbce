"""Drop of root's privileges: a command run as root becomes the owner of the state folder."""

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.durable_files import make_folder

SERVICE_USER = "postriver"  # made by `make run` as root


class PrivilegeError(Exception):
    """Root cannot become the service user; the message says what to do."""


def become(path: Path, *, user: str = SERVICE_USER) -> None:
    """As root: create the state folder at `path` if it is missing, and become its owner for good.

    Every command that touches state calls this first. For other users it does nothing.
    Raises PrivilegeError: there is no such user, or the user cannot read this program.
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
    """Return the owner of `path`; an empty folder of root's is given to `user`."""
    make_folder(path)
    with opened_folder(path.resolve()) as folder:
        found = os.fstat(folder)
        if found.st_uid != 0:
            return pwd.getpwuid(found.st_uid)
        if os.listdir(folder):  # noqa: PTH208  (a descriptor)
            raise PrivilegeError(f"{path} belongs to root; give it away: chown -R {user}: {path}")
        try:
            service = pwd.getpwnam(user)
        except KeyError:
            raise PrivilegeError(f"there is no user {user} yet; `make run` creates it") from None
        os.fchown(folder, service.pw_uid, service.pw_gid)
        return service


@contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """Open the folder `path`, for root to change its owner.

    The checked folder is the changed folder, also when it is renamed meanwhile; a link is refused.
    Raises PrivilegeError.
    """
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise PrivilegeError(f"{path}: {error.strerror}; not a folder, or a link") from error
    try:
        yield folder
    finally:
        os.close(folder)


def _check_reachable(path: Path, user: str) -> None:
    code = Path(__file__).resolve().parent
    for needed, mode in ((Path(sys.executable), os.X_OK), (code, os.R_OK), (path, os.W_OK)):
        if not os.access(needed, mode):
            raise PrivilegeError(
                f"user {user} cannot use {needed}; start with `make run`, which keeps a copy where "
                "that user can read it, or move the checkout out of a private folder"
            )

"""Writes of small files that survive a power cut: the octets of a file, and its name in a folder.

A file that was never synced may be empty after a power cut, and its name may be missing if its
folder was never synced. Every function raises OSError.
"""

import os
from pathlib import Path


def write_new_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Create `path`, which must not exist, and return when its octets are on disk.

    Its name is durable after `sync_folder` of its folder.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Return when the names in `folder` are on disk."""
    _sync(folder, os.O_DIRECTORY)


def sync_file_of(folder: Path, path: str) -> None:
    """Return when the file at `path` below `folder` is on disk, with the folders between them.

    For files that another process has written.
    """
    file = folder / path
    _sync(file)
    for parent in file.parents:
        sync_folder(parent)
        if parent == folder:
            return


def _sync(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

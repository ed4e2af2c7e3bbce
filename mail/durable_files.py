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
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

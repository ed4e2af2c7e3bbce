"""Durable files and folders: bytes and directory entries that survive a power cut.

A file that was never synced may come back empty; an entry of a folder that was never synced may
be gone.
"""

import os
from contextlib import suppress
from pathlib import Path


def sync(path: Path) -> None:
    """Write a file's bytes, or a folder's entries, to the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Create a private folder and its parents; sync each parent that is readable."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(PermissionError):
        sync(path.parent)


def write(path: Path, text: str) -> None:
    """Replace the file's text atomically: after a crash it is the old or the new text.

    Raises OSError.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    sync(fresh)
    fresh.replace(path)
    sync(path.parent)


def sync_tree(folder: Path) -> None:
    """Sync every file and folder below `folder`, and its own entry. Raises OSError."""
    for path in (*folder.rglob("*"), folder, folder.parent):
        if path.is_dir() or path.is_file():
            sync(path)

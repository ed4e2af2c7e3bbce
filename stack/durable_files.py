"""What must be there after a power cut: a file's bytes, and the names that lead to it.

A file that was written and never synced may come back empty, and a name that its folder was never
synced for may be gone.
"""

import os
from contextlib import suppress
from pathlib import Path


def sync(path: Path) -> None:
    """The bytes of a file, or the names in a folder, are on disk. OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Private, its parents too, and its name on disk where we may read the parent."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(PermissionError):
        sync(path.parent)


def write(path: Path, text: str) -> None:
    """The file has its old text or the new one, whatever happens. OSError."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    sync(fresh)
    fresh.replace(path)
    sync(path.parent)


def sync_tree(folder: Path) -> None:
    """Everything in `folder`, and its own name. OSError."""
    for path in (*folder.rglob("*"), folder, folder.parent):
        if path.is_dir() or path.is_file():
            sync(path)

"""A separate disk for a state folder, which can be filled and whose power can be cut.

The disk is an ext4 file system in a file on a loop device. The power cut is FS_IOC_SHUTDOWN without
a flush of the journal, which file system developers use for tests: from then on nothing reaches the
disk, data that was only in memory is lost, and the next mount replays the journal as after a real
power failure. Syncs are passed on to the file, so their order is kept. `noauto_da_alloc` and a long
`commit` interval prevent ext4 from writing data early that no process has synced.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32), linux/fs.h
NO_FLUSH = (2).to_bytes(4, "little")
OPTIONS = "loop,noauto_da_alloc,commit=300"
SIZE_MIB = 1536  # far more than the free space that the intake gate requires


class Disk:
    """Mounted at `root` until `close`."""

    def __init__(self, folder: Path, size_mib: int = SIZE_MIB) -> None:
        self.root = folder / "disk"
        self._image = folder / "disk.img"
        self.root.mkdir()
        with self._image.open("wb") as image:
            image.truncate(size_mib * 1024**2)
        _run("mkfs.ext4", "-q", "-m", "0", str(self._image))
        self._mount()
        self.root.chmod(0o711)

    def fill(self) -> None:
        """Fill the disk to the last byte, as the log of another program could."""
        with self._filler.open("ab") as file, suppress(OSError):
            for size_bytes in (16 * 1024**2, 64 * 1024, 4096):
                self._write(file.fileno(), b"x" * size_bytes)

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    def cut_power(self) -> None:
        """Discard all data that is not on disk; writes fail with EIO from here on."""
        handle = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, NO_FLUSH)
        finally:
            os.close(handle)

    def restore_power(self) -> None:
        """Mount the disk again; no process may have a file open on it."""
        self._unmount()
        self._mount()

    def close(self) -> None:
        self._unmount()
        self._image.unlink()

    @property
    def _filler(self) -> Path:
        return self.root / "ballast"

    @staticmethod
    def _write(handle: int, block: bytes) -> None:
        with suppress(OSError):
            while os.write(handle, block) == len(block):
                pass

    def _mount(self) -> None:
        _run("mount", "-o", OPTIONS, str(self._image), str(self.root))

    def _unmount(self) -> None:
        """Unmount, with retries: a process that used the disk may still be exiting."""
        for _ in range(100):
            with suppress(subprocess.CalledProcessError):
                _run("umount", str(self.root))
                return
            time.sleep(0.1)
        _run("umount", str(self.root))


@cache
def why_not() -> str | None:
    """Return the reason why this machine cannot have such a disk; None: it can."""
    if os.geteuid() != 0:
        return "only root mounts a disk"
    if missing := [tool for tool in ("mkfs.ext4", "mount", "umount") if not shutil.which(tool)]:
        return f"no {missing[0]}"
    folder = Path(tempfile.mkdtemp(prefix="postriver-disk-"))
    try:
        disk = Disk(folder, 8)
        disk.cut_power()
        disk.close()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no loop device with ext4 here ({error})"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return None


@contextmanager
def disk(folder: Path) -> Iterator[Disk | None]:
    """A disk in `folder`; None if this machine cannot have a disk."""
    if why_not():
        yield None
        return
    mounted = Disk(folder)
    try:
        yield mounted
    finally:
        mounted.close()


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)

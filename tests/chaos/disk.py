"""A disk of its own for a state folder: it can be filled, and its power can be cut.

An ext4 in a file on a loop device. The cut is the kernel's own (FS_IOC_SHUTDOWN without a flush of
the journal, as file systems are tested with): from that instant nothing reaches the disk, all that
was in memory only is gone, and the next mount replays the journal as after a real loss of power.
Syncs go on to the file below, so their order is kept. `noauto_da_alloc` and a long `commit` take
away the kindness by which ext4 writes out early what nobody synced.
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
SIZE_MIB = 1536  # more than the gate's least free space by far


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
        """Until not a byte is left, as a stranger's runaway log would."""
        with self._ballast.open("ab") as file, suppress(OSError):
            for size_bytes in (16 * 1024**2, 64 * 1024, 4096):
                self._write(file.fileno(), b"x" * size_bytes)

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def cut_power(self) -> None:
        """Nothing that is not on disk now will ever be; writers get EIO from here on."""
        handle = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, NO_FLUSH)
        finally:
            os.close(handle)

    def come_back(self) -> None:
        """Mount it again; nobody may have anything open there."""
        self._unmount()
        self._mount()

    def close(self) -> None:
        self._unmount()
        self._image.unlink()

    @property
    def _ballast(self) -> Path:
        return self.root / "ballast"

    @staticmethod
    def _write(handle: int, block: bytes) -> None:
        with suppress(OSError):
            while os.write(handle, block) == len(block):
                pass

    def _mount(self) -> None:
        _run("mount", "-o", OPTIONS, str(self._image), str(self.root))

    def _unmount(self) -> None:
        """The last closer may still be on its way out."""
        for _ in range(100):
            with suppress(subprocess.CalledProcessError):
                _run("umount", str(self.root))
                return
            time.sleep(0.1)
        _run("umount", str(self.root))


@cache
def why_not() -> str | None:
    """Why there can be no such disk on this machine; None when there can."""
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
    """A disk in `folder`, or None where there can be none."""
    if why_not():
        yield None
        return
    mine = Disk(folder)
    try:
        yield mine
    finally:
        mine.close()


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)

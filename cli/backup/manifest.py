"""What a backup is: its versions, its files and their sums, written last and checked first.

DIR/manifest.json   versions, times, settings, and the sum of the list of sums
DIR/SHA256SUMS      one line a file, as `sha256sum -c` reads it
DIR/log.records     what waited in the log (streams/readers/log_snapshot.py)
DIR/home/           the rest, as it lies in a state folder
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from mail.errors import Refused
from stack.state_folder import VERSION

FORMAT = 1  # of the backup itself
MANIFEST, SUMS, RECORDS, HOME = "manifest.json", "SHA256SUMS", "log.records", "home"
PUT_BACK = "put-back.records"  # in the state folder, from a restore until the log has them
_CHUNK_BYTES = 1024 * 1024
_JSON = msgspec.json.Encoder()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the whole backup is."""

    format: int
    postriver: str  # the version of the program that made it
    state: int  # the version of the state folder
    began_at: str  # every mail accepted before it is in the backup
    ended_at: str
    files: int
    size_bytes: int
    sums_sha256: str
    schemas: dict[str, int]  # SQLite file, its schema's version
    log: dict[str, int] | None  # topic, waiting records; None: the log was left out
    settings: dict[str, str]


class NotABackup(Refused):
    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(f"{folder} is no backup that can be restored: {why}")


class Sums:
    """Writes SHA256SUMS, a line for each file as it is added."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = (folder / SUMS).open("w", encoding="utf-8")
        self.files = 0
        self.size_bytes = 0

    def add(self, path: Path, sha256: str | None = None) -> None:
        """`path` is in the backup; `sha256`, where its bytes were read already."""
        digest = sha256_of(path) if sha256 is None else sha256
        self._file.write(f"{digest}  {path.relative_to(self._folder).as_posix()}\n")
        self.files += 1
        self.size_bytes += path.stat().st_size

    def close(self) -> None:
        self._file.close()


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pour(source: BinaryIO, target: BinaryIO) -> str:
    """Copy to the end; the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def write(folder: Path, manifest: Manifest) -> None:
    """On disk with all that was written before it, or not there at all."""
    fresh = folder / f"{MANIFEST}.new"
    fresh.write_bytes(msgspec.json.format(_JSON.encode(manifest), indent=2) + b"\n")
    os.sync()
    fresh.replace(folder / MANIFEST)
    os.sync()


def read(folder: Path, known: dict[str, int]) -> Manifest:
    """The manifest, if we can restore what it describes; `known`: our schemas. NotABackup."""
    try:
        raw = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise NotABackup(folder, f"no {MANIFEST}: not finished, or not a backup") from None
    except OSError as error:
        raise NotABackup(folder, str(error)) from error
    try:
        form = msgspec.json.decode(raw, type=_Form)
        if form.format > FORMAT:
            raise NotABackup(folder, f"its format {form.format} is newer than ours, {FORMAT}")
        manifest = msgspec.json.decode(raw, type=Manifest)
    except msgspec.MsgspecError as error:
        raise NotABackup(folder, f"{MANIFEST}: {error}") from error
    _check_versions(folder, manifest, known)
    return manifest


class _Form(msgspec.Struct):
    format: int


def _check_versions(folder: Path, manifest: Manifest, known: dict[str, int]) -> None:
    made = f"it was made by Postriver {manifest.postriver}; use that or a newer one"
    if manifest.state > VERSION:
        raise NotABackup(folder, f"its state has version {manifest.state}, ours {VERSION}; {made}")
    for name, version in manifest.schemas.items():
        if name not in known:
            raise NotABackup(folder, f"{name} is a file that this version does not know; {made}")
        if version > known[name]:
            raise NotABackup(
                folder, f"{name} has schema {version}, ours goes to {known[name]}; {made}"
            )


def check_files(folder: Path, manifest: Manifest) -> None:
    """Read every file. NotABackup names the first one that is missing or damaged."""
    try:
        if sha256_of(folder / SUMS) != manifest.sums_sha256:
            raise NotABackup(folder, f"{SUMS} is damaged")
        for name, sha256 in listed(folder):
            if sha256_of(folder / name) != sha256:
                raise NotABackup(folder, f"{name} is damaged")
    except OSError as error:
        raise NotABackup(folder, str(error)) from error


def listed(folder: Path) -> Iterator[tuple[PurePosixPath, str]]:
    """Each file's name below `folder` and its sum. NotABackup: a name that leads elsewhere."""
    with (folder / SUMS).open(encoding="utf-8") as lines:
        for line in lines:
            sha256, _, text = line.rstrip("\n").partition("  ")
            name = PurePosixPath(text)
            if name.is_absolute() or ".." in name.parts or not text:
                raise NotABackup(folder, f"{SUMS} names {text!r}")
            yield name, sha256

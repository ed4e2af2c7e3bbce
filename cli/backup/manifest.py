"""Manifest and checksums of a backup: written last, checked first.

DIR/manifest.json   versions, times, settings, and the SHA-256 of SHA256SUMS
DIR/SHA256SUMS      one line a file, in the format of `sha256sum -c`
DIR/log.records     unconsumed records of the log (streams/readers/log_snapshot.py)
DIR/cluster/        distributed profile: rows of Cassandra, contents (cluster_backup.py)
DIR/home/           the other files, as in a state folder
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from mail.errors import Refused
from stack.state_folder import VERSION

FORMAT = 1  # of the backup
MANIFEST, SUMS, RECORDS, HOME = "manifest.json", "SHA256SUMS", "log.records", "home"
CLUSTER = "cluster"
PUT_BACK = "put-back.records"  # in HOME, from a restore until setup has published the records
PUT_BACK_CLUSTER = "put-back"  # in HOME, until setup has filled the engines
RESTORE_ID = "id"  # in that folder; new at each restore
_CHUNK_BYTES = 1024 * 1024
_JSON = msgspec.json.Encoder()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of manifest.json."""

    format: int
    postriver: str  # version of the program that made the backup
    state: int  # version of the state folder
    began_at: str  # every mail accepted before it is in the backup
    ended_at: str
    files: int
    size_bytes: int
    sums_sha256: str
    schemas: dict[str, int]  # SQLite file, or schema of Cassandra, to schema version
    log: dict[str, int] | None  # topic to number of records; None: the log was left out
    settings: dict[str, str]
    profile: str = "embedded"


class NotABackup(Refused):
    """A folder that cannot be restored."""

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(f"{folder} is no backup that can be restored: {why}")


class Sums:
    """Writes SHA256SUMS, a line for each added file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = (folder / SUMS).open("w", encoding="utf-8")
        self.files = 0
        self.size_bytes = 0

    def add(self, path: Path, sha256: str | None = None) -> None:
        """Add the line of `path`; `sha256` saves reading the file again."""
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
    """Copy `source` to its end; return the SHA-256 of the copied bytes."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest after a sync of all files, so that it never exists without them."""
    fresh = folder / f"{MANIFEST}.new"
    fresh.write_bytes(msgspec.json.format(_JSON.encode(manifest), indent=2) + b"\n")
    os.sync()
    fresh.replace(folder / MANIFEST)
    os.sync()


def read(folder: Path, known: dict[str, int], profile: str) -> Manifest:
    """Return the manifest. Raises NotABackup: the folder cannot be restored into `profile`.

    `known`: SQLite files, or schemas, of this version and their schema versions.
    """
    try:
        raw = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise NotABackup(folder, f"no {MANIFEST}: not finished, or not a backup") from None
    except OSError as error:
        raise NotABackup(folder, str(error)) from error
    try:
        header = msgspec.json.decode(raw, type=_FormatOnly)
        if header.format > FORMAT:
            raise NotABackup(folder, f"its format {header.format} is newer than ours, {FORMAT}")
        manifest = msgspec.json.decode(raw, type=Manifest)
    except msgspec.MsgspecError as error:
        raise NotABackup(folder, f"{MANIFEST}: {error}") from error
    if manifest.profile != profile:
        raise NotABackup(
            folder,
            f"it is of the profile {manifest.profile}, and the setting is {profile}:"
            f" set POSTRIVER_PROFILE={manifest.profile}",
        )
    _check_versions(folder, manifest, known)
    return manifest


class _FormatOnly(msgspec.Struct):
    format: int


def _check_versions(folder: Path, manifest: Manifest, known: dict[str, int]) -> None:
    origin = f"it was made by Postriver {manifest.postriver}; use that or a newer one"
    if manifest.state > VERSION:
        raise NotABackup(
            folder, f"its state has version {manifest.state}, ours {VERSION}; {origin}"
        )
    for name, version in manifest.schemas.items():
        if name not in known:
            raise NotABackup(folder, f"{name} is a store that this version does not know; {origin}")
        if version > known[name]:
            raise NotABackup(
                folder, f"{name} has schema {version}, ours goes to {known[name]}; {origin}"
            )


def check_files(folder: Path, manifest: Manifest) -> None:
    """Read and check every file. Raises NotABackup with the first missing or damaged file."""
    try:
        if sha256_of(folder / SUMS) != manifest.sums_sha256:
            raise NotABackup(folder, f"{SUMS} is damaged")
        for name, sha256 in listed(folder):
            if sha256_of(folder / name) != sha256:
                raise NotABackup(folder, f"{name} is damaged")
    except OSError as error:
        raise NotABackup(folder, str(error)) from error


def listed(folder: Path) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield file names below `folder` with their SHA-256.

    Raises NotABackup: a name leads out of the folder.
    """
    with (folder / SUMS).open(encoding="utf-8") as lines:
        for line in lines:
            sha256, _, text = line.rstrip("\n").partition("  ")
            name = PurePosixPath(text)
            if name.is_absolute() or ".." in name.parts or not text:
                raise NotABackup(folder, f"{SUMS} names {text!r}")
            yield name, sha256

"""Virus signatures of clamd: the official set, others, or a test set only.

HOME/signatures has the test signature, files of the operator, and sets that freshclam fetches
(stack/engines/freshclam.py). A complete official set of the machine in /var/lib/clamav is read
there, or copied before the first fetch.
"""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stack.state_folder import StateFolder

OFFICIAL_FOLDER = Path("/var/lib/clamav")  # sets of the machine's own freshclam
OFFICIAL = ("main", "daily")
KINDS = ("official", "own", "test")
OLD_S = 3 * 86_400.0  # the official set changes daily
TEST_FILE = "test.ndb"
HEADER_BYTES = 512  # of a .cvd or .cld file
# Extensions that clamd loads (its CLI_DBEXT); other files are ignored.
_SUFFIXES = frozenset(
    (  # noqa: SIM905  (one line a word says no more)
        "cvd cld cud hdb hdu hsb hsu mdb mdu msb msu ndb ndu ldb ldu db sdb zmd rmd idb fp sfp "
        "gdb pdb wdb cbc cfg cdb yar yara crb imp ign ign2 info pwdb"
    ).split()
)

# The EICAR test file (68 bytes of text), in hexadecimal so that scanners do not stop at this file.
# As a body signature it is found inside MIME parts and archives too.
EICAR_HEX = (
    "58354f2150254041505b345c505a58353428505e2937434329377d24"
    "45494341522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatures:
    """Signatures of a folder. With the test signature only, `built_at_s` is None."""

    kind: Literal["official", "own", "test"]
    version: str = ""  # of the official daily part
    built_at_s: float | None = None  # Unix time: made by ClamAV, or by the file's own date

    @property
    def age_s(self) -> float | None:
        return None if self.built_at_s is None else max(0.0, time.time() - self.built_at_s)

    def __str__(self) -> str:
        if self.age_s is None:
            return "TEST SET ONLY"
        version = f" {self.version}" if self.version else ""
        return f"{self.kind}{version}, {_span(self.age_s)} old"

    def warnings(self) -> list[str]:
        """Return warnings about missing or old signatures."""
        if self.age_s is None:
            return ["virus signatures: TEST SET ONLY"]
        if self.age_s > OLD_S:
            return [f"virus signatures: {self}"]
        return []


def look(folder: Path) -> Signatures:
    """Return the signatures that clamd would load from `folder`; cheap to call often."""
    newest = {path.stem: path for path in sorted(_databases(folder), key=_built_at_s)}
    if set(OFFICIAL) <= newest.keys():
        daily = newest["daily"]
        version = _header(daily)[2:3]
        return Signatures(kind="official", version="".join(version), built_at_s=_built_at_s(daily))
    if newest:
        return Signatures(kind="own", built_at_s=max(map(_built_at_s, newest.values())))
    return Signatures(kind="test")


def folder_for(home: StateFolder, *, update: bool, official: Path = OFFICIAL_FOLDER) -> Path:
    """Return the folder that clamd reads: HOME/signatures, or the machine's official set."""
    if not update and look(official).kind == "official":
        return official
    return home.signatures


def prepare(home: StateFolder, *, update: bool, official: Path = OFFICIAL_FOLDER) -> Path:
    """Return the folder that clamd reads, with the test signature: clamd requires one."""
    (home.signatures / TEST_FILE).write_text(
        f"Eicar-Test-Signature:0:*:{EICAR_HEX}\n", encoding="ascii"
    )
    ours, theirs = look(home.signatures), look(official)
    if update and ours.kind != "official" and theirs.kind == "official":
        for path in _databases(official):
            shutil.copy2(path, home.signatures)
    return folder_for(home, update=update, official=official)


def _databases(folder: Path) -> list[Path]:
    try:
        found = list(folder.iterdir())
    except OSError:
        return []
    return [
        path
        for path in found
        if path.suffix[1:] in _SUFFIXES and path.name != TEST_FILE and os.access(path, os.R_OK)
    ]


def _built_at_s(path: Path) -> float:
    """Return the time of the set's header: `ClamAV-VDB:date:version:…:builder:Unix time`."""
    header = _header(path)
    if len(header) > 8 and header[8].strip().isdigit():
        return float(header[8])
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _header(path: Path) -> list[str]:
    if path.suffix not in {".cvd", ".cld"}:
        return []
    try:
        with path.open("rb") as file:
            return file.read(HEADER_BYTES).decode("ascii", "replace").split(":")
    except OSError:
        return []


def _span(seconds: float) -> str:
    hours = int(seconds // 3600)
    return f"{hours} h" if hours < 72 else f"{hours // 24} days"

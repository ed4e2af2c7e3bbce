"""Private copy of an engine's program, which no AppArmor profile binds.

Debian's profiles of clamd and freshclam go by path, and forbid the state folder.
"""

import shutil
from pathlib import Path


def own_copy(program: Path, folder: Path) -> Path:
    """Return FOLDER/NAME, copied again after the machine's `program` changed."""
    own = folder / program.name
    found = program.stat()
    if not own.exists() or (own.stat().st_size, own.stat().st_mtime_ns) != (
        found.st_size,
        found.st_mtime_ns,
    ):
        fresh = own.with_suffix(".new")
        shutil.copy2(program, fresh)
        fresh.chmod(0o700)
        fresh.replace(own)
    return own

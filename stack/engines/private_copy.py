"""A copy of an engine's program in its own folder: Debian's AppArmor profiles go by path.

Those of clamd and freshclam forbid our folders.
"""

import shutil
from pathlib import Path


def own_copy(program: Path, folder: Path) -> Path:
    """FOLDER/NAME, renewed whenever the machine's `program` was."""
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

"""Check of free disk space before an engine is started."""

import shutil
from pathlib import Path

MIB = 1024 * 1024


def no_room(folder: Path, needed_bytes: int) -> str | None:
    """Return why an engine with its data in `folder` must not be started now, or None."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes >= needed_bytes:
        return None
    return f"{free_bytes // MIB} MiB free on its disk, {needed_bytes // MIB} MiB needed"

"""Wall clocks of single processes, changed at run time by libfaketime (Debian package faketime).

The stack is started by a special Python: a folder that looks like a virtual environment, whose
`bin/python` loads the library into each role and names a file with the offset of its clock.
Monotonic clocks are not changed. The library makes reading a clock slower, so it is loaded only if
a plan sets a clock.
"""

import os
import stat
import sys
from pathlib import Path

OFFSETS_S = (7_200, -7_200, 9 * 86_400, -3 * 86_400, 45 * 86_400)
_LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib")
_WRAPPER = """#!/bin/bash
for argument; do role=$last; last=$argument; done
if [ "$role" = role ]; then
    export LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={folder}/$last
    export FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_RESET=1
fi
exec -a "$0" {python} "$@"
"""


def why_not() -> str | None:
    """Return the reason why clocks cannot be set on this machine; None: they can."""
    return None if _library() else "libfaketime is not installed (Debian package faketime)"


def _library() -> Path | None:
    names = (Path(folder, "faketime", "libfaketime.so.1") for folder in _LIBRARIES)
    return next((name for name in names if name.exists()), None)


class Clocks:
    """The clocks of one stack, which `python` must start. Roles read their offset every second."""

    def __init__(self, folder: Path, roles: tuple[str, ...]) -> None:
        self._folder = folder / "clocks"
        self.python = folder / "venv" / "bin" / "python"
        self._folder.mkdir(mode=0o755)
        for role in (*roles, "setup"):
            self.set(role, 0)
        self.python.parent.mkdir(parents=True)
        environment = Path(sys.prefix)
        (folder / "venv" / "pyvenv.cfg").write_text((environment / "pyvenv.cfg").read_text())
        (folder / "venv" / "lib").symlink_to(environment / "lib")
        real = os.path.realpath(sys.executable)
        self.python.write_text(
            _WRAPPER.format(library=_library(), folder=self._folder, python=real)
        )
        self.python.chmod(self.python.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    def set(self, role: str, offset_s: int) -> None:
        """Set the wall clock of a role `offset_s` seconds ahead; effective within a second."""
        path = self._folder / role
        path.write_text(f"{offset_s:+d}\n")
        path.chmod(0o644)

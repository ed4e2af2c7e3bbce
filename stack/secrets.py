"""Secrets of the stack: one file per name in HOME/secrets, readable by its owner alone (0600).

The broker identifies each process by its secret. A secret is made at the first start that needs
it. A file that is removed while the stack is down is made again, with another secret.
"""

import os
import secrets
from pathlib import Path

from stack.durable_files import make_folder, sync
from stack.state_folder import StateFolder

FOLDER = "secrets"
SECRET_BYTES = 32


def secret(home: StateFolder, name: str) -> str:
    """Return the secret of `name`, made if it does not exist. Raises OSError."""
    found = known(home.path, name)
    if found is not None:
        return found
    write_private(home.path / FOLDER / name, f"{secrets.token_hex(SECRET_BYTES)}\n")
    return known(home.path, name) or ""


def known(home: Path, name: str) -> str | None:
    """Return the secret of `name` in the state folder `home`, or None. Raises OSError."""
    try:
        return (home / FOLDER / name).read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None


def write_private(path: Path, text: str) -> None:
    """Replace the file's text atomically; no other user can read it. Raises OSError."""
    make_folder(path.parent)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    sync(fresh)
    fresh.replace(path)
    sync(path.parent)

"""Restore a state folder from a backup, which is checked whole before the first byte is written.

The broker starts empty: topics get new ids and so new epochs, and a position in the old log cannot
be mistaken for a position in the new log. The unconsumed records of the old log are in
HOME/put-back.records until the first start (cli/roles/setup.py). `version` is written last: a
folder without it does not start.
"""

import os
from pathlib import Path

from cli.backup import manifest as form
from cli.backup.manifest import Manifest
from cli.config.config import Config
from mail.errors import Refused
from schemas.sqlite.attempts import ATTEMPTS
from schemas.sqlite.directory import DIRECTORY
from schemas.sqlite.mail_store import MAIL
from schemas.sqlite.relay import RELAY
from schemas.sqlite.search import SEARCH
from schemas.sqlite.small_stores import CONTENT, HOLDERS, LEDGER, OUTLINES, QUARANTINE, UPLOADS
from schemas.sqlite.submissions import SUBMISSIONS
from stores.sqlite.search.index import BUCKETS

SCHEMAS = {
    "mail.sqlite": len(MAIL),
    "directory.sqlite": len(DIRECTORY),
    "attempts.sqlite": len(ATTEMPTS),
    "quarantine.sqlite": len(QUARANTINE),
    "content.sqlite": len(CONTENT),
    "outlines.sqlite": len(OUTLINES),
    "holders.sqlite": len(HOLDERS),
    "ledger.sqlite": len(LEDGER),
    "submissions.sqlite": len(SUBMISSIONS),
    "relay.sqlite": len(RELAY),
    "uploads.sqlite": len(UPLOADS),
    **{f"search/search-{number:02d}.sqlite": len(SEARCH) for number in range(BUCKETS)},
}


def restore(config: Config, source: Path) -> Manifest:
    """Fill `config.home`, which must be empty, from the backup in `source`.

    Raises Refused: the profile has no files; the home is not empty; the backup is incomplete,
    damaged or of a newer version.
    """
    form.check_profile(config.profile)
    manifest = form.read(source, SCHEMAS)
    form.check_files(source, manifest)
    old_mask = os.umask(0o077)
    try:
        _fill(config.home, source, manifest)
    except OSError as error:
        raise Refused(f"{error}; empty {config.home} before you try again") from error
    finally:
        os.umask(old_mask)
    return manifest


def _fill(home: Path, source: Path, manifest: Manifest) -> None:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(entry.name != "lost+found" for entry in home.iterdir()):
        raise Refused(f"{home} is not empty: a restore begins in an empty folder")
    for name, _ in form.listed(source):
        if name.parts[0] == form.HOME:
            _copy(source / name, home.joinpath(*name.parts[1:]))
    if manifest.log is not None:
        _copy(source / form.RECORDS, home / form.PUT_BACK)
    os.sync()
    (home / "version").write_text(f"{manifest.state}\n", encoding="ascii")
    os.sync()


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("rb") as source, target.open("xb") as file:
        form.pour(source, file)

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
from cli.wiring.store_files import EMBEDDED
from mail.errors import Refused
from mail.ids import new_id
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


_FOLDERS = {form.HOME: "", form.CLUSTER: form.PUT_BACK_CLUSTER}  # of a backup, and in HOME


def restore(config: Config, source: Path) -> Manifest:
    """Fill `config.home`, which must be empty, from the backup in `source`.

    The engines of the distributed profile are filled at the first start. Raises Refused: the home
    is not empty; the backup is of another profile, incomplete, damaged or of a newer version; an
    engine that runs elsewhere has data. StoreUnavailable, BrokerUnavailable.
    """
    is_embedded = config.profile == EMBEDDED
    manifest = form.read(source, SCHEMAS if is_embedded else _cluster_schemas(), config.profile)
    form.check_files(source, manifest)
    if not is_embedded:
        _refuse_used_engines(config)
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
        if name.parts[0] in _FOLDERS:
            _copy(source / name, home / _FOLDERS[name.parts[0]] / Path(*name.parts[1:]))
    if manifest.log is not None:
        _copy(source / form.RECORDS, home / form.PUT_BACK)
    if manifest.profile != EMBEDDED:
        _copy(source / form.MANIFEST, home / form.PUT_BACK_CLUSTER / form.MANIFEST)
        (home / form.PUT_BACK_CLUSTER / form.RESTORE_ID).write_text(new_id(), encoding="ascii")
    os.sync()
    (home / "version").write_text(f"{manifest.state}\n", encoding="ascii")
    os.sync()


def _cluster_schemas() -> dict[str, int]:
    from cli.backup.cluster_backup import known_schemas  # noqa: PLC0415  (drivers: 20 MB)

    return known_schemas()


def _refuse_used_engines(config: Config) -> None:
    from cli.backup.cluster_restore import refuse_used_engines  # noqa: PLC0415

    refuse_used_engines(config)


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("rb") as source, target.open("xb") as file:
        form.pour(source, file)

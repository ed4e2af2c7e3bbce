"""Files of the stores: created and migrated at the start of the stack, before their first use.

HOME/profile names the profile of a state folder; one without it is of the embedded profile. The
tables of the distributed profile are made by the role `setup`.

HOME/stores lists the files that were created. A listed file that is missing was lost, or its disk
is not mounted. The start is then refused: with an empty file in its place, all mail would be
refused. Every other process only opens existing files: a command of a newer version must not
migrate schemas that running processes of an older version use.
"""

import asyncio
from contextlib import suppress
from pathlib import Path

from cli.wiring.service_key import make_service_key
from mail.errors import Refused, StoreUnavailable
from schemas.sqlite.directory import DIRECTORY
from schemas.sqlite.migrations import Statements
from schemas.sqlite.search import SEARCH
from schemas.sqlite.small_stores import CONTENT
from schemas.versions.change import SchemaChange
from stack.durable_files import write
from stack.state_folder import StateFolder
from stores.sqlite.attempts import SqliteAttempts
from stores.sqlite.database_file import SqliteConfig, version_of
from stores.sqlite.database_file import prepare as prepare_file
from stores.sqlite.holders import SqliteHolders
from stores.sqlite.ledger import SqliteLedger
from stores.sqlite.mail_store.store import SqliteMailStore
from stores.sqlite.outline_store import SqliteOutlineStore
from stores.sqlite.quarantine import SqliteQuarantine
from stores.sqlite.relay_queue import SqliteRelayQueue
from stores.sqlite.submissions import SqliteSubmissions
from stores.sqlite.uploads import SqliteUploads

LIST = "stores"  # in HOME, as PROFILE
PROFILE = "profile"
EMBEDDED = "embedded"
FILES = (  # without these, mail is lost
    "mail.sqlite", "directory.sqlite", "quarantine.sqlite", "holders.sqlite", "ledger.sqlite",
    "content.sqlite", "submissions.sqlite", "relay.sqlite",
)  # fmt: skip
SCHEMAS: dict[str, tuple[Statements, ...]] = {  # those of the search index apart: SEARCH
    "mail.sqlite": SqliteMailStore.migrations,
    "directory.sqlite": DIRECTORY,
    "quarantine.sqlite": SqliteQuarantine.migrations,
    "holders.sqlite": SqliteHolders.migrations,
    "ledger.sqlite": SqliteLedger.migrations,
    "content.sqlite": CONTENT,
    "outlines.sqlite": SqliteOutlineStore.migrations,
    "attempts.sqlite": SqliteAttempts.migrations,
    "submissions.sqlite": SqliteSubmissions.migrations,
    "relay.sqlite": SqliteRelayQueue.migrations,
    "uploads.sqlite": SqliteUploads.migrations,
}
CONFIG = SqliteConfig()


async def prepare(home: Path, profile: str) -> list[SchemaChange]:
    """Make what a start of the stack needs before any process runs; return what was migrated.

    The caller holds the lock. Raises Refused: the folder is of the other profile, or a file of it
    is missing. Fatal: a newer version wrote a file; no file is changed. StoreUnavailable.
    """
    check_profile(home, profile)
    if profile == EMBEDDED:
        return await prepare_stores(home)
    make_service_key(StateFolder(home))
    write(home / PROFILE, f"{profile}\n")
    return []


def planned(home: Path, profile: str) -> list[SchemaChange]:
    """Return what `prepare` would migrate; change nothing. Raises as it does."""
    check_profile(home, profile)
    _check_all_present(home)
    if profile != EMBEDDED:
        return []
    versions = {name: version_of(_path(home, name), len(SCHEMAS[name])) for name in SCHEMAS}
    versions |= _versions_of_search(home)
    return [
        _change(name, version)
        for name, version in versions.items()
        if version < len(_migrations(name))
    ]


def check_profile(home: Path, profile: str) -> None:
    """Raises Refused: the state folder is of another profile, whose mail would not be seen."""
    path = home / PROFILE
    if path.exists():
        found = path.read_text(encoding="ascii").strip()
    elif (home / LIST).exists():
        found = EMBEDDED
    else:
        return
    if found != profile:
        raise Refused(
            f"{home} has the profile {found}: set POSTRIVER_PROFILE={found}, or another"
            " POSTRIVER_HOME"
        )


async def prepare_stores(home: Path) -> list[SchemaChange]:
    """Create or migrate every store of `home`. The caller holds its lock. Raises as `prepare`."""
    await asyncio.to_thread(planned, home, EMBEDDED)  # a newer file ends it here
    versions = {name: await _prepared(home, name) for name in SCHEMAS}
    for name in _versions_of_search(home):
        with suppress(StoreUnavailable):  # as there
            versions[name] = await _prepared(home, name)
    make_service_key(StateFolder(home))
    write(home / LIST, "".join(f"{name}\n" for name in FILES))
    return [
        _change(name, version)
        for name, version in versions.items()
        if version < len(_migrations(name))
    ]


async def _prepared(home: Path, name: str) -> int:
    """Create or migrate a file; return the version before."""
    return await asyncio.to_thread(prepare_file, _path(home, name), _migrations(name), CONFIG)


def _versions_of_search(home: Path) -> dict[str, int]:
    """The versions of the files of the search index. They are made by the first search.

    A file that cannot be read is left out: mail is accepted and read without it. Raises Fatal.
    """
    versions = {}
    for path in sorted((home / "data" / "search").glob("search-*.sqlite")):
        with suppress(StoreUnavailable):
            versions[f"search/{path.name}"] = version_of(path, len(SEARCH))
    return versions


def _migrations(name: str) -> tuple[Statements, ...]:
    return SCHEMAS.get(name, SEARCH)


def _path(home: Path, name: str) -> Path:
    return home / "data" / name


def _change(name: str, found: int) -> SchemaChange:
    newest = len(_migrations(name))
    return SchemaChange(engine="sqlite", part=name, found=found, version=newest, live=False)


def _check_all_present(home: Path) -> None:
    for name in sorted(_created_files(home / LIST)):
        _check_present(home, name)


def _created_files(path: Path) -> set[str]:
    """Return the names in the list; empty if a version without the list created the state."""
    return set(path.read_text(encoding="ascii").split()) & set(FILES) if path.exists() else set()


def _check_present(home: Path, name: str) -> None:
    path = home / "data" / name
    if not path.exists():
        raise Refused(
            f"{path} is gone: mount its disk, or restore a backup; to begin with an empty file"
            f" remove the line {name} from {home / LIST}"
        )

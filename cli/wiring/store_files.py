"""Files of the stores: created and migrated at the start of the stack, before their first use.

HOME/profile names the profile of a state folder; one without it is of the embedded profile. The
tables of the distributed profile are made by the role `setup`.

HOME/stores lists the files that were created. A listed file that is missing was lost, or its disk
is not mounted. The start is then refused: with an empty file in its place, all mail would be
refused. Every other process only opens existing files: a command of a newer version must not
migrate schemas that running processes of an older version use.
"""

from contextlib import AsyncExitStack
from pathlib import Path

from cli.wiring.embedded import Adapters
from cli.wiring.service_key import make_service_key
from mail.errors import Refused
from stack.durable_files import write
from stack.state_folder import StateFolder

LIST = "stores"  # in HOME, as PROFILE
PROFILE = "profile"
EMBEDDED = "embedded"
FILES = (  # without these, mail is lost
    "mail.sqlite", "directory.sqlite", "quarantine.sqlite", "holders.sqlite", "ledger.sqlite",
    "content.sqlite", "submissions.sqlite", "relay.sqlite",
)  # fmt: skip


async def prepare(home: Path, profile: str) -> None:
    """Make what a start of the stack needs before any process runs. The caller holds the lock.

    Raises Refused: the folder is of the other profile, or a file of it is missing.
    """
    check_profile(home, profile)
    if profile == EMBEDDED:
        await prepare_stores(home)
        return
    make_service_key(StateFolder(home))
    write(home / PROFILE, f"{profile}\n")


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


async def prepare_stores(home: Path) -> None:
    """Create or migrate every store of `home`. The caller holds its lock.

    Raises Refused: a file is missing that was created before.
    """
    for name in sorted(_created_files(home / LIST)):
        _check_present(home, name)
    async with AsyncExitStack() as stack:
        opened = Adapters(home, stack)
        await opened.mail_store()
        await opened.directory()
        await opened.quarantine()
        await opened.holders()
        await opened.ledger()
        await opened.contents()
        await opened.outlines()
        await opened.attempts()
        await opened.submissions()
        await opened.relay_queue()
        await opened.uploads()
    make_service_key(StateFolder(home))
    write(home / LIST, "".join(f"{name}\n" for name in FILES))


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

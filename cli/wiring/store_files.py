"""The stores' files, created and migrated at the start of the stack, before any process uses them.

HOME/stores lists those that were made. A listed file that is gone was lost, or its disk is not
mounted: the start is refused, since an empty file in its place would refuse everybody's mail.
Every other process opens what is there: a command of a newer version must not change schemas under
running processes of an older one.
"""

from contextlib import AsyncExitStack
from pathlib import Path

from cli.wiring.embedded import Adapters
from mail.errors import Refused
from stack.durable_files import write

LIST = "stores"  # in HOME
FILES = (  # those whose loss is a loss of mail
    "mail.sqlite", "directory.sqlite", "quarantine.sqlite", "holders.sqlite", "ledger.sqlite",
    "content.sqlite",
)  # fmt: skip


async def prepare_stores(home: Path) -> None:
    """Make or migrate every store of `home`, whose lock the caller holds. Refused."""
    for name in sorted(_made(home / LIST)):
        _check(home, name)
    async with AsyncExitStack() as stack:
        opened = Adapters(home, stack)
        await opened.mail_store()
        await opened.directory()
        await opened.quarantine()
        await opened.holders()
        await opened.ledger()
        await opened.contents()
        await opened.attempts()
    write(home / LIST, "".join(f"{name}\n" for name in FILES))


def _made(path: Path) -> set[str]:
    """Names in the list; none where a former version made the state."""
    return set(path.read_text(encoding="ascii").split()) & set(FILES) if path.exists() else set()


def _check(home: Path, name: str) -> None:
    path = home / "data" / name
    if not path.exists():
        raise Refused(
            f"{path} is gone: mount its disk, or restore a backup; to begin with an empty one"
            f" remove the line {name} from {home / LIST}"
        )

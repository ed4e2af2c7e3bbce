"""Open the adapters of the configured profile for commands and roles.

Embedded profile: SQLite, synced local content, FTS5, clamd and spamd over unix sockets.
Distributed profile: distributed_adapters.py; it is refused while it is not complete.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from cli.config.config import Config, load
from cli.stack_addresses import load_running
from cli.wiring.distributed import refuse_incomplete
from cli.wiring.embedded import Adapters
from mail.errors import Refused
from mail.ports import Directory, MailStore, Quarantine
from stack.privileges import PrivilegeError, become
from stack.state_folder import StateFolderError, existing
from stores.sqlite.database_file import CommitTimes
from stores.write_check import WriteCheck, always_writable
from streams.config import Bootstrap


def become_owner(config: Config) -> None:
    """As root, become the owner of the state folder.

    Raises Refused: there is no state folder, or it cannot be used.
    """
    try:
        existing(config.home)
        become(config.home)
    except (StateFolderError, PrivilegeError) as error:
        raise Refused(str(error)) from error


def bootstrap() -> Bootstrap:
    """Return the broker's address and secret, as the owner of the state folder. Raises Refused."""
    config = load_running()
    become_owner(config)
    return config.bootstrap


@asynccontextmanager
async def adapters(
    config: Config,
    commit_times: CommitTimes | None = None,
    *,
    check: WriteCheck = always_writable,
) -> AsyncIterator[Adapters]:
    """Open adapters on the state folder of `config`; as root, become its owner first.

    The adapters use the files that the start of the stack created (cli/wiring/store_files.py), and
    count their transactions in `commit_times`. They are closed at the end of the block. `check`: of
    the mail store of the distributed profile (streams/worker/assignment_lease.py).
    Raises Refused: there is no state folder, or it cannot be used; the profile is not complete.
    """
    refuse_incomplete(config.profile)
    become_owner(config)
    async with AsyncExitStack() as stack:
        if config.profile == "distributed":  # its drivers are 20 MB that no other process needs
            from cli.wiring.distributed_adapters import DistributedAdapters  # noqa: PLC0415

            yield DistributedAdapters(config, stack, commit_times or CommitTimes(), check=check)
        else:
            yield Adapters(config.home, stack, existing=True, commit_times=commit_times)


@asynccontextmanager
async def open_directory() -> AsyncIterator[Directory]:
    async with adapters(load()) as opened:
        yield await opened.directory()


@asynccontextmanager
async def open_quarantine() -> AsyncIterator[Quarantine]:
    async with adapters(load()) as opened:
        yield await opened.quarantine()


@asynccontextmanager
async def open_mail_store() -> AsyncIterator[MailStore]:
    async with adapters(load()) as opened:
        yield await opened.mail_store()

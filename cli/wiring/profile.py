"""Open the adapters of the configured profile for commands and roles.

Embedded profile: SQLite, synced local content, FTS5. Distributed profile: Cassandra, an S3 server,
OpenSearch, Redis. In both: clamd and spamd. Any engine may run elsewhere (cli/config/engines.py).
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from cli.config.config import Config
from cli.stack_addresses import load_running
from cli.wiring.embedded import Adapters
from cli.wiring.store_files import check_profile
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

    The adapters use the files or tables that the start of the stack created, and those of files
    count their transactions in `commit_times`. They are closed at the end of the block. `check`: of
    the mail store of the distributed profile (streams/worker/assignment_lease.py).
    Raises Refused: there is no state folder, it cannot be used, or it is of the other profile.
    """
    become_owner(config)
    check_profile(config.home, config.profile)
    async with AsyncExitStack() as stack:
        if config.profile == "distributed":  # its drivers are 20 MB that no other process needs
            from cli.wiring.distributed_adapters import DistributedAdapters  # noqa: PLC0415

            yield DistributedAdapters(config, stack, commit_times or CommitTimes(), check=check)
        else:
            yield Adapters(
                config.home, stack, existing=True, commit_times=commit_times,
                scanners=config.scanner_addresses,
            )  # fmt: skip


@asynccontextmanager
async def open_directory() -> AsyncIterator[Directory]:
    async with adapters(load_running()) as opened:
        yield await opened.directory()


@asynccontextmanager
async def open_quarantine() -> AsyncIterator[Quarantine]:
    async with adapters(load_running()) as opened:
        yield await opened.quarantine()


@asynccontextmanager
async def open_mail_store() -> AsyncIterator[MailStore]:
    async with adapters(load_running()) as opened:
        yield await opened.mail_store()

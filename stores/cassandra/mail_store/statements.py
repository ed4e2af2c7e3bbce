"""Statements that write a mailbox: each has a timestamp, and is sent only if the check allows it.

The check is that of the worker's assignment lease. The fence of ownership.py does not depend on it,
but the check stops a late owner before its next statement, and so before it claims a mailbox again.
"""

from collections.abc import Iterable
from typing import Any

from stores.cassandra.mail_store.stamps import RowWrite, stamp_of, stamped
from stores.cassandra.session import CassandraSession
from stores.write_check import WriteCheck, always_writable


class MailboxStatements:
    """Statements of the writer of mailboxes, over one session."""

    def __init__(self, session: CassandraSession, check: WriteCheck = always_writable) -> None:
        self._session = session
        self._check = check

    async def write(
        self,
        rows: Iterable[RowWrite],
        *,
        seq: int,
        generation: int,
        one_partition: bool = False,
    ) -> None:
        """Write the rows of a step, in no order. Raises StoreUnavailable, AssignmentInDoubt.

        `one_partition`: they are in one partition, and are written in one mutation.
        """
        statements = stamped(rows, seq=seq, generation=generation)
        await self._session.write(statements, check=self._check, one_partition=one_partition)

    async def delete(self, cql: str, *keys: tuple[Any, ...], seq: int, generation: int) -> None:
        """Delete ranges of rows. `cql`: its values are the timestamp, then those of one of `keys`.

        Raises StoreUnavailable, AssignmentInDoubt.
        """
        stamp = stamp_of(seq, generation)
        statements = [(cql, (stamp, *key)) for key in keys]
        await self._session.write(statements, check=self._check)

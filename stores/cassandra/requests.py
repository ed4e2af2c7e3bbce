"""Requests to Cassandra on the driver's connections, without the driver's object for each.

That object is made for callers in several threads, for retries and for speculative requests, none
of which is used here, and costs as much as the rest of a request. The driver chooses the node,
encodes and decodes, and keeps the connections.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, NoHostAvailable
from cassandra.connection import ConnectionBusy, ConnectionException
from cassandra.pool import NoConnectionsAvailable
from cassandra.protocol import BatchMessage, ErrorMessage, ExecuteMessage, ResultMessage
from cassandra.query import FETCH_SIZE_UNSET, BatchStatement

from stores.cassandra.loop_connection import LoopThread

Page = tuple[list[Any], bytes | None]  # rows, and where they go on
Answered = Callable[[Any], None]  # gets a message of the protocol, or an exception


class Requests:
    """The requests of a session of the driver."""

    def __init__(self, session: Any, loop: LoopThread) -> None:
        self._session = session
        self._policy = session.get_execution_profile(EXEC_PROFILE_DEFAULT).load_balancing_policy
        self._loop = loop

    async def answer(self, statement: Any, at: bytes | None) -> Page:
        """Rows for a bound statement or a batch, from `at` on, and where they go on; None: nowhere.

        Raises what the driver raises: the error of the node, ConnectionException, NoHostAvailable.
        PreparedQueryNotFound: the node does not know the statement, and has done nothing.
        """
        answered, waiter = self._waiter()
        self._send(statement, at, answered)
        response = await waiter
        if isinstance(response, ResultMessage):
            return response.parsed_rows or [], response.paging_state
        raise response.to_exception() if isinstance(response, ErrorMessage) else response

    async def by_driver(self, statement: Any, at: bytes | None) -> Page:
        """As `answer`, also for statements that are not prepared, or not known to the node."""
        answered, waiter = self._waiter()
        response = self._session.execute_async(statement, paging_state=at)
        response.add_callbacks(answered, answered)
        rows = await waiter
        if isinstance(rows, Exception):
            raise rows
        return rows or [], response.result().paging_state

    def _waiter(self) -> tuple[Answered, asyncio.Future[Any]]:
        """A callback for any thread, and what is awaited here."""
        here = asyncio.get_running_loop()
        loop, waiter = self._loop if here is self._loop.loop else LoopThread(), here.create_future()
        return partial(loop.call, _settle, waiter), waiter

    def _send(self, statement: Any, at: bytes | None, answered: Answered) -> None:
        """Send to the first node that has a free connection."""
        message, metadata = self._message(statement, at)
        handler = self._session.client_protocol_handler
        errors: dict[Any, Exception] = {}
        for host in self._policy.make_query_plan(self._session.keyspace, statement):
            pool = self._session._pools.get(host)  # noqa: SLF001 (no other way)
            if pool is None or pool.is_shutdown:
                continue
            try:
                connection, number = pool.borrow_connection(timeout=0)
            except (NoConnectionsAvailable, ConnectionException) as error:
                errors[host] = error
                continue
            try:
                connection.send_msg(
                    message, number, partial(_returned, pool, connection, answered),
                    handler.encode_message, handler.decode_message, metadata,
                )  # fmt: skip
            except (ConnectionBusy, ConnectionException) as error:
                errors[host] = error
                pool.return_connection(connection)
            else:
                return
        raise NoHostAvailable("no node has a connection", errors)

    def _message(self, statement: Any, at: bytes | None) -> tuple[Any, Any]:
        """The message of a statement, and the metadata of its result."""
        level = statement.consistency_level
        levels = (ConsistencyLevel.LOCAL_QUORUM if level is None else level,
                  ConsistencyLevel.LOCAL_SERIAL)  # fmt: skip
        if isinstance(statement, BatchStatement):
            queries = statement._statements_and_parameters  # noqa: SLF001
            return BatchMessage(statement.batch_type, queries, *levels), []
        prepared, rows = statement.prepared_statement, statement.fetch_size
        rows = self._session.default_fetch_size if rows is FETCH_SIZE_UNSET else rows
        message = ExecuteMessage(
            prepared.query_id, statement.values, *levels, rows, at,
            skip_meta=bool(prepared.result_metadata),
            result_metadata_id=prepared.result_metadata_id,
        )  # fmt: skip
        return message, prepared.result_metadata


def _returned(pool: Any, connection: Any, answered: Answered, response: Any) -> None:
    pool.return_connection(connection)
    answered(response)


def _settle(waiter: asyncio.Future[Any], response: Any) -> None:
    if not waiter.done():
        waiter.set_result(response)

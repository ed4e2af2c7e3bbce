"""What the contract suites of a mail store share: whole lists, page by page, and all views."""

import os

from hypothesis import HealthCheck, settings

from mail.ports import Commit, MailStore
from schemas.mailbox import Filter
from tests.contracts.mailboxes import (
    Writer,
)


def examples(number: int) -> int:
    """The number of examples of a property; POSTRIVER_EXAMPLES_PERCENT makes it smaller."""
    return max(1, number * int(os.environ.get("POSTRIVER_EXAMPLES_PERCENT", "100")) // 100)


HARD = settings(
    deadline=None,
    max_examples=examples(40),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
FEW = settings(
    deadline=None,
    max_examples=examples(25),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


async def commit_all(store: MailStore, *made: Commit) -> None:
    for commit in made:
        await store.commit(commit)


async def listed(
    store: MailStore,
    user: str,
    folder: str | None = "inbox",
    *,
    unread: bool | None = None,
    limit: int = 3,
) -> list[str]:
    """All message ids of a list, page by page."""
    return await filtered(store, user, Filter(unread=unread), folder=folder, limit=limit)


async def filtered(
    store: MailStore,
    user: str,
    wanted: Filter,
    *,
    folder: str | None = "inbox",
    limit: int = 3,
) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page = await store.page(user, folder, conditions=wanted, limit=limit, cursor=cursor)
        found += [row.message_id for row in page.messages]
        if page.next_cursor is None:
            return found
        assert len(page.messages) <= limit
        cursor = page.next_cursor


async def holds_what(store: MailStore, writer: Writer) -> None:
    """Every view shows what `writer` wrote, and nothing else."""
    user = writer.user_id
    assert await store.load(user) == await store.state(user) == writer.state
    assert await store.journal(user, since_seq=0, limit=1000) == writer.entries
    for id_, row in writer.messages.items():
        assert await store.message(user, id_) == row
    assert await store.usage(user) == writer.state.usage
    for folder in await store.folders(user):
        counts = folder.counts
        assert (counts.total, counts.unread) == writer.recount(counts.id)
        assert await store.by_uid(user, counts.id, after_uid=0, limit=500) == writer.by_uid(
            counts.id
        )
        await _lists_what(store, writer, counts.id)
    await _lists_what(store, writer, None)


async def _lists_what(store: MailStore, writer: Writer, folder: str | None) -> None:
    for unread in (None, True, False):
        assert await listed(store, writer.user_id, folder, unread=unread) == writer.listed(
            folder, unread=unread
        )

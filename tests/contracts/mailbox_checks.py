"""What every MailStore does when its views are held against its journal."""

import itertools
from collections.abc import Mapping, Sequence

import msgspec
import pytest

from mail.errors import Refused
from mail.mailbox.consistency_check import UNKNOWN
from mail.ports import MailStore
from schemas.consistency import COUNTS, LISTS, Rebuild
from schemas.events.mailbox_commands import RebuildViews
from schemas.mail import HeaderSummary
from schemas.mailbox import SEEN, MailboxState
from tests.contracts.mailboxes import NOON_MS, Writer

BOTH = (LISTS, COUNTS)
_numbers = itertools.count()


async def rebuilt(
    store: MailStore,
    user_id: str,
    parts: Sequence[str],
    heads: Mapping[str, HeaderSummary] | None = None,
) -> Rebuild:
    """A rebuild from its first step to its last."""
    order = RebuildViews(
        command_id=f"rebuild-{next(_numbers)}", user_id=user_id, domain_id="domain",
        parts=tuple(parts), at_ms=1,
    )  # fmt: skip
    made = await store.rebuild(order, {})
    while not made.is_finished:
        given = {one.message_id: (heads or {}).get(one.message_id, UNKNOWN) for one in made.lacking}
        step = msgspec.structs.replace(order, origin_id=order.command_id, step=made.step)
        made = await store.rebuild(step, given)
    return made


async def lead(store: MailStore, writer: Writer) -> None:
    """A life with everything in it."""
    for commit in (
        writer.deliver("one"),
        writer.deliver("two", at_ms=NOON_MS - 9, has_attachments=True),
        writer.deliver("three", folder="junk", sender="X@Example.org"),
        writer.mark("one", SEEN, "$flagged"),
        writer.folder("created", "f1", "Work"),
        writer.move("two", "inbox", "f1"),
        writer.several("one", "two", keywords=("$flagged", SEEN)),
        writer.mark_deleted("two", "f1"),
        writer.destroy("three"),
        writer.change_settings(theme="dark", image_senders=("kim@example.org",)),
    ):
        await store.commit(commit)


class MailboxChecksContract:
    async def test_what_the_writer_left_has_no_differences(self, store: MailStore) -> None:
        writer = Writer()
        await lead(store, writer)
        found = await store.check(writer.user_id)
        assert found.differences == found.without_row == ()
        assert (await store.check("nobody")) == found

    async def test_a_folded_journal_proves_as_much(self, store: MailStore) -> None:
        writer = Writer()
        await lead(store, writer)
        assert await store.fold(writer.user_id, before_ms=NOON_MS + 6, to_seq=99)
        assert (await store.check(writer.user_id)).differences == ()

    async def test_rebuilding_what_is_right_changes_nothing(self, store: MailStore) -> None:
        writer = Writer()
        await lead(store, writer)
        made = await rebuilt(store, writer.user_id, BOTH)
        assert made.mended == 0
        assert await store.load(writer.user_id) == writer.state
        rows = await store.rows(writer.user_id, list(writer.messages))
        assert rows == writer.messages
        assert (await rebuilt(store, "nobody", BOTH)).mended == 0
        assert await store.load("nobody") == MailboxState()

    async def test_a_step_that_is_done_or_replaced_changes_nothing(self, store: MailStore) -> None:
        writer = Writer()
        await lead(store, writer)
        made = await rebuilt(store, writer.user_id, BOTH)
        assert await store.rebuilding(writer.user_id) == made
        first = RebuildViews(
            command_id=made.rebuild_id, user_id="ann", domain_id="domain", parts=BOTH, at_ms=1
        )
        assert await store.rebuild(first, {}) == made
        later = msgspec.structs.replace(first, command_id="x", origin_id="replaced", step=3)
        with pytest.raises(Refused):
            await store.rebuild(later, {})
        assert await store.rebuilding(writer.user_id) == made
        assert await store.rebuilding("nobody") is None

    async def test_a_tombstone_keeps_nothing_that_its_mail_said(self, store: MailStore) -> None:
        writer = Writer()
        await lead(store, writer)
        row = await store.message(writer.user_id, writer.id("three"))
        assert row is not None
        assert (row.destroyed, row.head, row.hops) == (True, HeaderSummary(), ())
        assert row.thread_id
        assert await store.fold(writer.user_id, before_ms=2**50, to_seq=99)
        (record,) = (
            one
            for one in await store.snapshot_records(writer.user_id, after_id="", limit=9)
            if one.destroyed
        )
        assert record.delivered.hops == ()

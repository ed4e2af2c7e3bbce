"""What every MailStore does when its views are held against its journal."""

import msgspec

from mail.ports import MailStore
from schemas.checks import COUNTS, LISTS
from schemas.mailbox import SEEN, MailboxState
from tests.contracts.mailboxes import NOON_MS, Writer

BOTH = (LISTS, COUNTS)


async def lead(store: MailStore, writer: Writer) -> None:
    """A life with everything in it."""
    for commit in (
        writer.deliver("one"),
        writer.deliver("two", at_ms=NOON_MS - 9, has_attachments=True),
        writer.deliver("three", folder="junk", sender="X@Example.org"),
        writer.mark("one", SEEN, "$flagged"),
        writer.folder("created", "f1", "Work"),
        writer.move("two", "inbox", "f1"),
        writer.several("one", "two", keywords=(SEEN,)),
        writer.destroy("three"),
    ):
        await store.commit(commit)


class MailboxChecksContract:
    async def test_what_the_writer_left_has_no_differences(self, store: MailStore) -> None:
        writer = Writer()
        await lead(store, writer)
        found = await store.check(writer.user_id)
        assert found.differences == found.without_row == ()
        assert {kept.message_id: kept.destroyed for kept in found.messages} == {
            row.message_id: row.destroyed for row in writer.messages.values()
        }
        assert (await store.check("nobody")) == msgspec.structs.replace(found, messages=())

    async def test_a_folded_journal_proves_as_much(self, store: MailStore) -> None:
        writer = Writer()
        await lead(store, writer)
        before = await store.check(writer.user_id)
        assert await store.fold(writer.user_id, before_ms=NOON_MS + 6)
        after = await store.check(writer.user_id)
        assert after.differences == ()
        assert set(after.messages) == set(before.messages)

    async def test_rebuilding_what_is_right_changes_nothing(self, store: MailStore) -> None:
        writer = Writer()
        await lead(store, writer)
        rebuilt = await store.rebuild(writer.user_id, BOTH, {})
        assert rebuilt.mended == ()
        assert rebuilt.state == writer.state == await store.load(writer.user_id)
        rows = await store.rows(writer.user_id, list(writer.messages))
        assert rows == writer.messages
        assert (await store.rebuild("nobody", BOTH, {})).state == MailboxState()

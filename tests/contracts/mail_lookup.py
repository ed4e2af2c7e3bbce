"""Contract of MailLookup: messages of a mail in every mailbox."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mail.ids import derived_id
from tests.contracts.mail_store_reads import commit_all
from tests.contracts.mailboxes import (
    Writer,
)

HARD = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
ARRIVALS = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), max_size=12)


class MailLookupContract:
    async def test_by_mail_finds_every_recipients_message(self, store):
        writers = [Writer(name) for name in ("ann", "bob", "cy")]
        await commit_all(
            store, *(writer.deliver("a") for writer in writers), Writer("dan").deliver("b")
        )
        found = await store.by_mail(derived_id("a"))
        assert {row.user_id: row for row in found} == {w.user_id: w.row("a") for w in writers}
        both = await store.by_mails([derived_id("b"), derived_id("none"), derived_id("a")])
        assert len(both) == len(found) + 1
        assert await store.by_mails([]) == []

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

    async def test_by_draft_finds_the_present_version_of_a_draft_of_that_user_alone(self, store):
        ann, bob = Writer("ann"), Writer("bob")
        await commit_all(
            store, ann.deliver("v1", draft_id="d"), bob.deliver("other", draft_id="d"),
            ann.deliver("mail"), ann.deliver("v2", draft_id="d"), ann.mark("v2", "$draft"),
        )  # fmt: skip
        assert await store.by_draft("ann", "d") == ann.row("v2")
        await commit_all(store, ann.destroy("v1"))
        assert await store.by_draft("ann", "d") == ann.row("v2")
        await commit_all(store, ann.destroy("v2"))
        assert await store.by_draft("ann", "d") is None
        assert await store.by_draft("ann", "") is None, "no message has an empty draft id"
        assert await store.by_draft("bob", "d") == bob.row("other")
        assert (await store.check("ann")).differences == ()

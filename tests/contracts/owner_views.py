"""Contract of OwnerViews: settings and correspondents of a mailbox's owner."""

import msgspec
import pytest

from mail.mailbox.correspondents import CORRESPONDENTS_MAX, DROP_EVERY_STEPS
from mail.mailbox.journal_replay import JournalReplay
from mail.ports import Commit, MailStore
from schemas.consistency import LISTS
from schemas.correspondents import Correspondent
from schemas.mail import EmailAddress
from schemas.user_settings import Label, StoredSettings
from tests.contracts.mail_store_reads import commit_all
from tests.contracts.mailbox_checks import rebuilt
from tests.contracts.mailboxes import NOON_MS, Writer

LABELS = (Label(keyword="work", name="일"),)


class OwnerViewsContract:
    async def test_settings_are_those_of_the_last_change(self, store: MailStore) -> None:
        ann = Writer()
        assert await store.settings("ann") == StoredSettings()
        await commit_all(
            store,
            ann.change_settings(theme="dark", labels=LABELS),
            ann.deliver("a"),
            ann.change_settings(theme="light", undo_send_s=0),
            Writer("bob").change_settings(theme="dark"),
        )
        stored = await store.settings("ann")
        assert stored == ann.settings
        assert (stored.changed_seq, stored.settings.labels) == (3, LABELS)
        assert (await store.settings("bob")).settings.labels == ()
        assert (await store.load("ann")).type_seqs.settings == 3

    async def test_a_repeated_commit_does_not_bring_settings_back(self, store: MailStore) -> None:
        ann = Writer()
        first = ann.change_settings(theme="dark")
        await commit_all(store, first, ann.change_settings(theme="light"), first)
        assert (await store.settings("ann")).settings.theme == "light"

    async def test_settings_survive_the_fold_of_their_entries(self, store: MailStore) -> None:
        ann = Writer()
        await commit_all(
            store, ann.change_settings(theme="dark"), ann.deliver("a"),
            ann.change_settings(labels=LABELS), ann.change_settings(pane="off"),
        )  # fmt: skip
        assert await store.fold("ann", before_ms=2**50, to_seq=3) == 3
        snapshot = await store.snapshot("ann")
        assert snapshot.settings.settings.labels == LABELS
        assert snapshot.settings.changed_seq == 3
        history = JournalReplay(snapshot.state, {}, snapshot.settings)
        for entry in await store.journal("ann", since_seq=3, limit=9):
            history.add(entry)
        assert history.settings == ann.settings == await store.settings("ann")
        assert history.state.type_seqs == ann.state.type_seqs
        assert (await store.check("ann")).differences == ()
        assert (await rebuilt(store, "ann", (LISTS,))).mended == 0

    async def test_a_sender_counts_outside_junk_and_trash(self, store: MailStore) -> None:
        ann, kim = Writer(), "Kim@Example.org"
        await commit_all(
            store,
            ann.deliver("a", sender=kim, at_ms=NOON_MS),
            ann.deliver("b", sender="kim@example.org", at_ms=NOON_MS - 5),
            ann.deliver("c", sender="junk@x.test", folder="junk"),
            ann.deliver("d", sender="draft@x.test", folder="drafts"),
            ann.deliver("e", sender="not an address"),
            ann.move("c", "trash"),
            ann.move("a", "archive"),
            ann.destroy("b"),
            Writer("bob").deliver("a", sender="lee@example.org"),
        )
        assert await found(store, "KIM@") == [
            Correspondent(address=kim, name="Ann", received=2, last_ms=NOON_MS)
        ]
        for address in ("junk", "draft", "not", "lee"):
            assert await found(store, address) == []
        await commit_all(store, ann.move("c", "inbox"))
        assert [one.received for one in await found(store, "junk@")] == [1]
        assert (await store.check("ann")).differences == ()

    async def test_recipients_of_sent_mail_come_first(self, store: MailStore) -> None:
        ann = Writer()
        kim, lee = EmailAddress("", "kim@x.test"), EmailAddress("Kim Lee", "lee@x.test")
        await commit_all(
            store,
            ann.deliver("a", sender="kim@y.test"),
            ann.deliver("b", sender="me@x.test", folder="sent", to=(kim, lee, kim)),
            ann.deliver("c", sender="me@x.test", folder="sent", to=(lee,)),
        )
        rows = await found(store, "kim")
        assert [(one.address, one.sent, one.received) for one in rows] == [
            ("lee@x.test", 2, 0), ("kim@x.test", 1, 0), ("kim@y.test", 0, 1)
        ]  # fmt: skip
        assert await store.correspondents("ann", "kim", limit=1) == rows[:1]
        assert await found(store, "me@") == await found(store, " ") == []
        assert [one.address for one in await found(store, "x.te")] == ["lee@x.test", "kim@x.test"]

    @pytest.mark.parametrize(
        "typed", ["김", "김하", "김하늘", "하늘", "하느", "kim", "Kim ha", "HA"]
    )
    async def test_a_name_is_found_from_each_of_its_parts(
        self, store: MailStore, typed: str
    ) -> None:
        ann = Writer()
        for number, name in enumerate(("김하늘", "\u1100\u1175\u11b7하늘", "Kim Haneul")):
            to = (EmailAddress(name, f"k{number}@x.test"),)
            await store.commit(ann.deliver(name, folder="sent", to=to, at_ms=NOON_MS - number))
        addresses = [one.address for one in await found(store, typed)]
        korean = ["k0@x.test", "k1@x.test"]
        assert addresses == (["k2@x.test"] if typed.isascii() else korean)

    async def test_the_least_recent_are_dropped(self, store: MailStore) -> None:
        ann = Writer()
        for number in range(0, 200 * DROP_EVERY_STEPS, 200):
            to = tuple(EmailAddress("", f"r{number + n}@x.test") for n in range(200))
            await store.commit(ann.deliver(f"m{number}", folder="sent", to=to, at_ms=number))
        rows = await store.correspondents("ann", "r", limit=9999)
        assert len(rows) == CORRESPONDENTS_MAX
        assert min(one.last_ms for one in rows) == 200 * DROP_EVERY_STEPS - CORRESPONDENTS_MAX
        assert await found(store, "r0@") == []
        assert (await store.check("ann")).differences == ()
        assert (await rebuilt(store, "ann", (LISTS,))).mended == 0

    async def test_counts_of_an_owner_who_destroyed_mail_stay(self, store: MailStore) -> None:
        ann = Writer()
        made: list[Commit] = [ann.deliver("a"), ann.deliver("b"), ann.destroy("a")]
        await commit_all(store, *made)
        (before,) = await found(store, "ann@")
        assert (await rebuilt(store, "ann", (LISTS,))).mended == 0
        assert await found(store, "ann@") == [before] == [
            msgspec.structs.replace(before, received=2)
        ]  # fmt: skip


async def found(store: MailStore, prefix: str) -> list[Correspondent]:
    return await store.correspondents("ann", prefix, limit=99)

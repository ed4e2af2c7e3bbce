"""Contract of OwnerViews: the settings of a mailbox's owner."""

from mail.mailbox.journal_replay import JournalReplay
from mail.ports import MailStore
from schemas.consistency import LISTS
from schemas.user_settings import Label, StoredSettings
from tests.contracts.mail_store_reads import commit_all
from tests.contracts.mailbox_checks import rebuilt
from tests.contracts.mailboxes import Writer

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

"""One IMAP client's view of a folder, kept by the ports alone: what an IMAP server has to do.

The session holds what the client knows: uids in the order of their sequence numbers, their flags
and mod-sequences, and the HIGHESTMODSEQ. `sync` answers NOOP or IDLE; `resync` is the SELECT
of a client that comes back with QRESYNC (RFC 7162 §3.2.5).
"""

from dataclasses import dataclass, field

from mail.errors import JournalTruncated
from schemas.folder_slots import DELETED_BIT, FolderSlots
from schemas.ids import MessageId
from tests.support.mailbox_world import MailboxWorld

USER = "bob"
Known = dict[int, tuple[MessageId, int, int]]  # uid: message, flags, mod-sequence


def known_of(slots: FolderSlots) -> Known:
    columns = (slots.uids, slots.message_ids, slots.flags, slots.changed_seqs)
    return {uid: (id_, flags, seq) for uid, id_, flags, seq in zip(*columns, strict=True)}


@dataclass
class ImapSession:
    """A session that has selected `folder`."""

    world: MailboxWorld
    folder: str = "inbox"
    uidvalidity: int = 0
    highest: int = 0
    known: Known = field(default_factory=dict)

    @property
    def store(self):
        return self.world.ports.store

    async def select(self) -> "ImapSession":
        """SELECT (RFC 9051 §6.3.2): the seq is read before the slots, so it is never too high."""
        counts = await self.counts()
        self.uidvalidity, self.highest = counts.uidvalidity, await self._seq()
        self.known = known_of(await self.store.slots(USER, self.folder))
        return self

    async def counts(self):
        return (await self.store.state(USER)).folders[self.folder]

    async def _seq(self) -> int:
        return (await self.store.state(USER)).seq

    def uids(self) -> list[int]:
        """The uids by sequence number."""
        return sorted(self.known)

    def ids(self, *uids: int) -> tuple[MessageId, ...]:
        return tuple(self.known[uid][0] for uid in uids)

    def flags(self, uid: int) -> int:
        return self.known[uid][1]

    def modseq(self, uid: int) -> int:
        return self.known[uid][2]

    def marked(self) -> list[int]:
        return [uid for uid in self.uids() if self.flags(uid) & DELETED_BIT]

    async def sync(self) -> tuple[list[int], list[int]]:
        """Apply what changed since HIGHESTMODSEQ; return the uids expunged and fetched.

        Without the steps, as after a fold, the uids that the client knows are compared with the
        folder (RFC 7162 §3.2.6).
        """
        since, highest = self.highest, await self._seq()
        try:
            gone = set(await self.store.vanished(USER, self.folder, since_seq=since))
        except JournalTruncated:
            gone = self.known.keys() - known_of(await self.store.slots(USER, self.folder)).keys()
        fetched = known_of(await self.store.changed(USER, self.folder, since_seq=since))
        expunged = sorted(gone & self.known.keys())
        for uid in expunged:
            del self.known[uid]
        self.known |= fetched
        self.highest = highest
        return expunged, sorted(fetched)

    async def resync(self) -> tuple[list[int], list[int]] | None:
        """SELECT with QRESYNC; None: another UIDVALIDITY, so that nothing cached is valid."""
        if (await self.counts()).uidvalidity != self.uidvalidity:
            await self.select()
            return None
        return await self.sync()

    async def is_exact(self) -> bool:
        """Whether the client knows what the folder has."""
        return self.known == known_of(await self.store.slots(USER, self.folder))


def copyuid(event, source: str, target: str) -> dict[int, int]:
    """The pairs of COPYUID (RFC 9051 §7.1), from the event of a COPY or MOVE alone."""
    return {
        (one.places | one.left)[source]: one.places[target]
        for one in event.changes
        if target in one.places
    }

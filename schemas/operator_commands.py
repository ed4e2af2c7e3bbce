"""Upkeep of a mailbox: commands beside its owner's (schemas/events.py). They take no seq."""

import msgspec


class RebuildViews(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="mailbox.rebuild_views.v1"
):
    """An operator's: rewrite from the journal what differs from it, one bounded step.

    A command, since counts are in the single writer's hands too. A step publishes the next one; the
    last one is answered.
    """

    command_id: str
    user_id: str
    domain_id: str
    parts: tuple[str, ...]  # lists, counts (schemas/checks.py)
    at_ms: int
    origin_id: str = ""  # the first step's command_id; "" in the first
    step: int = 0

    @property
    def rebuild_id(self) -> str:
        return self.origin_id or self.command_id


class FoldJournal(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.fold_journal.v1"):
    """The mailbox's own: fold the journal's old entries into the snapshot, one bounded step.

    Published behind every 64th change of a mailbox, and again as long as entries are due.
    """

    command_id: str
    user_id: str
    domain_id: str
    at_ms: int  # of the change; what is old is measured from here

"""What an operator orders of a mailbox: commands beside its owner's (schemas/events.py)."""

import msgspec


class RebuildViews(msgspec.Struct, frozen=True, kw_only=True, tag="mailbox.rebuild_views.v1"):
    """An operator's: write anew from the journal what differs from it. Takes no seq.

    It comes as a command, since counts are in the single writer's hands too.
    """

    command_id: str
    user_id: str
    domain_id: str
    parts: tuple[str, ...]  # lists, counts (schemas/checks.py)
    at_ms: int

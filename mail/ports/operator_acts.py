"""Log of what operators do through the admin API."""

from typing import Protocol

from mail.pagination import NEWEST, ListPosition
from schemas.directory import OperatorAct


class OperatorActs(Protocol):
    """Acts, each noted before it is carried out."""

    async def add_act(self, act: OperatorAct) -> None:
        """Note `act`."""
        ...

    async def end_act(self, act_id: str, outcome: str) -> None:
        """Note the outcome of an act that has none; no error if there is no such act."""
        ...

    async def acts(self, *, limit: int, before: ListPosition = NEWEST) -> list[OperatorAct]:
        """Return acts, newest first. `before`: (at_ms, act_id) of the previous page's last."""
        ...

    async def prune_acts(self, *, before_ms: int) -> int:
        """Drop acts from before; return their number."""
        ...

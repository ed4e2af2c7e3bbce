"""Users whose mailbox is set aside: it cannot be written as it is, so their commands are parked.

Kept as settings of the directory, one for each user, so that every process and every life of a
process knows. Set by the agent mailbox, lifted by it after a rebuild (agents/mailbox_failures.py).
"""

from dataclasses import dataclass

from mail.clock import now_ms, rfc3339
from mail.ports import Directory

_PREFIX = "set-aside:"


@dataclass(slots=True)
class FailingCommand:
    """A command that failed in a way that nobody foresaw, in this process."""

    command_id: str
    tries: int = 0
    is_sound: bool = False  # its mailbox was compared with the journal, and nothing differed


class SuspendedMailboxes:
    """Who is set aside and why. Every method but `trouble` and `calm`: StoreUnavailable."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._troubles: dict[str, FailingCommand] = {}
        self._known: dict[str, str] = {}

    async def why(self, user_id: str) -> str | None:
        """Since when and why the user is set aside; None when he is not."""
        return await self._directory.setting(_PREFIX + user_id)

    async def add(self, user_id: str, why: str) -> None:
        """Set the user aside."""
        why = f"since {rfc3339(now_ms())}: {why}"
        await self._directory.set_setting(_PREFIX + user_id, why)
        self._known[user_id] = why

    async def lift(self, user_id: str) -> None:
        """The user is no longer set aside."""
        await self._directory.remove_setting(_PREFIX + user_id)
        self._known.pop(user_id, None)

    async def refresh(self) -> None:
        """Read who is set aside, for `warnings`."""
        found = await self._directory.settings(_PREFIX)
        self._known = {name.removeprefix(_PREFIX): why for name, why in found.items()}

    def warnings(self) -> list[str]:
        """A sentence for each user as last read; names no address."""
        return [
            f"mailbox of user {user_id} is set aside {why}; commands and mail for it are parked "
            "until postriver rebuild lists"
            for user_id, why in sorted(self._known.items())
        ]

    def trouble(self, user_id: str, command_id: str) -> FailingCommand:
        """What this process knows of the user's failing command; a new one when it is another."""
        found = self._troubles.get(user_id)
        if found is None or found.command_id != command_id:
            found = self._troubles[user_id] = FailingCommand(command_id)
        return found

    def calm(self, user_id: str) -> None:
        """Forget the user's trouble: a command was carried out, or he is set aside."""
        self._troubles.pop(user_id, None)

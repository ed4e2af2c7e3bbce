"""Users whose mailbox is set aside: it cannot be written, so the users' commands are parked.

The mark is a setting of the directory, one per user, so that all processes see it and it outlives
them. The mailbox stage adds it, and removes it after a rebuild (agents/mailbox_failures.py).
"""

from dataclasses import dataclass

from mail.clock import now_ms, rfc3339
from mail.ports import Settings
from schemas.ids import CommandId, UserId

_PREFIX = "set-aside:"


@dataclass(slots=True)
class FailingCommand:
    """A command that failed with an unexpected error in this process."""

    command_id: CommandId
    failures: int = 0
    mailbox_is_sound: bool = False  # no view differed from the journal


class SuspendedMailboxes:
    """Which users are set aside, and why.

    All methods except `warnings`, `failing_command` and `clear_failure` raise StoreUnavailable: the
    directory cannot be read or written.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._failing: dict[str, FailingCommand] = {}
        self._reasons: dict[str, str] = {}

    async def reason(self, user_id: UserId) -> str | None:
        """Since when and why the user is set aside; None if the user is not."""
        return await self._settings.setting(_PREFIX + user_id)

    async def add(self, user_id: UserId, why: str) -> None:
        """Set the user aside from now on."""
        why = f"since {rfc3339(now_ms())}: {why}"
        await self._settings.set_setting(_PREFIX + user_id, why)
        self._reasons[user_id] = why

    async def remove(self, user_id: UserId) -> None:
        """End the suspension of the user."""
        await self._settings.remove_setting(_PREFIX + user_id)
        self._reasons.pop(user_id, None)

    async def refresh(self) -> None:
        """Read all marks, for `warnings`."""
        settings = await self._settings.settings(_PREFIX)
        self._reasons = {name.removeprefix(_PREFIX): why for name, why in settings.items()}

    def warnings(self) -> list[str]:
        """One sentence per user as of the last `refresh` or change; without addresses."""
        return [
            f"mailbox of user {user_id} is set aside {why}; commands and mail for it are parked "
            "until postriver rebuild lists"
            for user_id, why in sorted(self._reasons.items())
        ]

    def failing_command(self, user_id: UserId, command_id: CommandId) -> FailingCommand:
        """The record of the user's failing command; a new record if another command failed."""
        failing = self._failing.get(user_id)
        if failing is None or failing.command_id != command_id:
            failing = self._failing[user_id] = FailingCommand(command_id)
        return failing

    def clear_failure(self, user_id: UserId) -> None:
        """Forget the user's failing command: a command was applied, or the user is set aside."""
        self._failing.pop(user_id, None)

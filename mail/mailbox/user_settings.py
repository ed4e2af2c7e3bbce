"""Patches of a user's settings: pure functions for the single writer, stores and replay."""

from typing import Any

import msgspec
from msgspec import UNSET

from schemas.events.mailbox_events import MailboxChanged
from schemas.user_settings import SettingsPatch, StoredSettings, UserSettings


def values_of(patch: SettingsPatch) -> dict[str, Any]:
    """The values that `patch` sets, by the name of the setting."""
    values = {name: getattr(patch, name) for name in SettingsPatch.__struct_fields__}
    return {name: value for name, value in values.items() if value is not UNSET}


def patched(settings: UserSettings, patch: SettingsPatch) -> UserSettings:
    """The settings after `patch`."""
    return msgspec.structs.replace(settings, **values_of(patch))


def differing(settings: UserSettings, patch: SettingsPatch) -> SettingsPatch:
    """The part of `patch` that changes `settings`."""
    values = values_of(patch)
    return SettingsPatch(
        **{name: value for name, value in values.items() if getattr(settings, name) != value}
    )


def stored_after(before: StoredSettings, entry: MailboxChanged) -> StoredSettings:
    """The stored settings after `entry`. An entry that they already contain changes nothing."""
    if entry.settings is None or entry.seq <= before.changed_seq:
        return before
    return StoredSettings(settings=patched(before.settings, entry.settings), changed_seq=entry.seq)

"""Rules of commands on folders: create, rename, move, settings, subscriptions."""

import msgspec

from mail.mailbox.command_rules import CommandOutcome
from mail.mailbox.commit_builder import CommitBuilder
from mail.mailbox.folders import NAME_MAX_CHARS, exists, fault_of, normal_name
from schemas.events.mailbox_commands import (
    ChangeFolder,
    ChangeSubscriptions,
    CreateFolder,
    FolderSettingsCommand,
)
from schemas.events.mailbox_events import (
    NOT_FOUND,
    REFUSED,
    UNCHANGED,
    CommandAnswered,
    FolderChange,
    FolderChangeKind,
    Position,
)
from schemas.mailbox import FOLDERS, FolderSettings, MailboxState, OwnFolder

SUBSCRIBED_NAMES_MAX = 1000
_FULL_NAME_MAX_CHARS = 10 * (NAME_MAX_CHARS + 1)


def decide(
    state: MailboxState, command: FolderSettingsCommand, position: Position
) -> CommandOutcome:
    """Carry out a command on one folder or on the subscribed names."""
    match command:
        case CreateFolder():
            return _create_folder(state, command, position)
        case ChangeFolder():
            return _change_folder(state, command, position)
        case ChangeSubscriptions():
            return _change_subscriptions(state, command, position)


def _create_folder(
    state: MailboxState, command: CreateFolder, position: Position
) -> CommandOutcome:
    """Create a folder; `refused` if its id or name is taken or invalid, or a limit is reached."""
    name = normal_name(command.name)
    if command.folder_id in state.own or command.folder_id in FOLDERS or not command.folder_id:
        return CommandAnswered.to(command, REFUSED, "There is a folder of this id already.")
    if name is None:
        return CommandAnswered.to(command, REFUSED, "This cannot be a folder's name.")
    folder = OwnFolder(name=name, parent_id=command.parent_id)
    if fault := fault_of(state, command.folder_id, folder):
        return CommandAnswered.to(command, REFUSED, fault)
    builder = CommitBuilder(state, command, position)
    builder.change_folder(_folder_change(command, "created", folder))
    return builder.commit()


def _change_folder(
    state: MailboxState, command: ChangeFolder, position: Position
) -> CommandOutcome:
    """Rename, move or set a folder; the name and place of a standard folder cannot change."""
    before = state.own.get(command.folder_id)
    if not exists(state, command.folder_id):
        return CommandAnswered.to(command, NOT_FOUND)
    if before is None and (command.name, command.parent_id) != (None, None):
        return CommandAnswered.to(command, REFUSED, "Standard folders cannot be changed.")
    folder = _folder_after(before, command)
    if isinstance(folder, CommandAnswered):
        return folder
    if folder != before and folder and (fault := fault_of(state, command.folder_id, folder)):
        return CommandAnswered.to(command, REFUSED, fault)
    settings = _settings_after(state, command)
    if folder == before and settings is None:
        return CommandAnswered.to(command, UNCHANGED)
    builder = CommitBuilder(state, command, position)
    change = _folder_change(command, "updated" if folder == before else "renamed", folder)
    builder.change_folder(msgspec.structs.replace(change, settings=settings))
    return builder.commit()


def _change_subscriptions(
    state: MailboxState, command: ChangeSubscriptions, position: Position
) -> CommandOutcome:
    """Add and remove subscribed names; `refused` if there are too many or one is too long."""
    before = frozenset(state.subscribed_names)
    names = (before - frozenset(command.remove)) | frozenset(command.add)
    if names == before:
        return CommandAnswered.to(command, UNCHANGED)
    too_long = any(len(name) > _FULL_NAME_MAX_CHARS for name in command.add)
    if too_long or len(names) > max(SUBSCRIBED_NAMES_MAX, len(before)):
        return CommandAnswered.to(command, REFUSED, "Too many or too long subscribed names.")
    builder = CommitBuilder(state, command, position)
    builder.subscribe(tuple(sorted(names)))
    return builder.commit()


def _folder_after(
    before: OwnFolder | None, command: ChangeFolder
) -> OwnFolder | CommandAnswered | None:
    """The folder with its new name and parent; None for a standard folder."""
    if before is None:
        return None
    name = before.name if command.name is None else normal_name(command.name)
    if name is None:
        return CommandAnswered.to(command, REFUSED, "This cannot be a folder's name.")
    parent_id = before.parent_id if command.parent_id is None else command.parent_id
    return OwnFolder(name=name, parent_id=parent_id)


def _settings_after(state: MailboxState, command: ChangeFolder) -> FolderSettings | None:
    """The folder's new settings; None if they do not change."""
    before = state.settings.get(command.folder_id, FolderSettings())
    after = FolderSettings(
        subscribed=before.subscribed if command.subscribed is None else command.subscribed,
        sort_order=before.sort_order if command.sort_order is None else command.sort_order,
    )
    return None if after == before else after


def _folder_change(
    command: CreateFolder | ChangeFolder, change: FolderChangeKind, folder: OwnFolder | None
) -> FolderChange:
    if folder is None:
        return FolderChange(change=change, id=command.folder_id)
    return FolderChange(
        change=change, id=command.folder_id, name=folder.name, parent_id=folder.parent_id
    )

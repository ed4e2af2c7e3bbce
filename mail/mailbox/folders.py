"""Folders of a mailbox: the list of folders, and the rules for creating and moving them.

Limits are in docs/limits.md.
"""

import re
import unicodedata

from schemas.ids import FolderId
from schemas.mailbox import (
    FOLDERS,
    TOP,
    Folder,
    FolderCounts,
    FolderSettings,
    MailboxState,
    OwnFolder,
)

FOLDERS_MAX = 500  # folders that the owner created
DEPTH_MAX = 10  # a folder at the top has depth 1
NAME_MAX_CHARS = 255
_REFUSED_CATEGORIES = frozenset({"Cc", "Cn", "Cs", "Zl", "Zp"})
# Default_Ignorable_Code_Point (UAX #44), and the blank braille pattern: not visible.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def exists(state: MailboxState, folder_id: FolderId) -> bool:
    """Whether the folder exists for its owner; a folder that is being deleted does not."""
    own = state.own.get(folder_id)
    return folder_id in FOLDERS or (own is not None and not own.deleting)


def all_folders(state: MailboxState) -> tuple[Folder, ...]:
    """The standard folders in the order of FOLDERS, then the owner's folders by name."""
    own = [_own(state, id_, folder) for id_, folder in state.own.items() if not folder.deleting]
    own.sort(key=lambda folder: (folder.name.casefold(), folder.counts.id))
    return (*(_standard(state, id_) for id_ in FOLDERS), *own)


def normal_name(name: str) -> str | None:
    """The name in NFC without surrounding white space; None if it is not a valid folder name.

    Invisible characters are allowed, since scripts and emoji need joiners, but not only those.
    """
    normal = unicodedata.normalize("NFC", name).strip()
    refused = any(unicodedata.category(char) in _REFUSED_CATEGORIES for char in normal)
    if refused or "/" in normal or not _visible(normal) or len(normal) > NAME_MAX_CHARS:
        return None
    return normal


def fault_of(state: MailboxState, folder_id: FolderId, folder: OwnFolder) -> str:
    """Why the folder `folder_id` cannot become `folder`, whose name is normal; "" if it can."""
    if folder.parent_id and not exists(state, folder.parent_id):
        return "There is no such parent folder."
    ancestors = _path(state, folder.parent_id)
    if folder_id in ancestors:
        return "A folder cannot be inside itself."
    if len(ancestors) + _height(state, folder_id) > DEPTH_MAX:
        return f"Folders can be nested {DEPTH_MAX} deep."
    if _is_taken(state, folder_id, folder):
        return "There is a folder of this name already."
    if folder_id not in state.own and len(state.own) >= FOLDERS_MAX:
        return f"There can be {FOLDERS_MAX} folders."
    return ""


def descendants(state: MailboxState, folder_id: FolderId) -> list[FolderId]:
    """The folders inside the folder, at every depth."""
    inside = _children(state, folder_id)
    return inside + [id_ for child in inside for id_ in descendants(state, child)]


def has_folders_inside(state: MailboxState, folder_id: FolderId) -> bool:
    """Whether the folder has subfolders."""
    return bool(_children(state, folder_id))


def _standard(state: MailboxState, id_: FolderId) -> Folder:
    counts = state.folders.get(id_) or FolderCounts(id_)
    return Folder(counts=counts, name=id_.capitalize(), role=id_, settings=_settings(state, id_))


def _own(state: MailboxState, id_: FolderId, own: OwnFolder) -> Folder:
    counts = state.folders.get(id_) or FolderCounts(id_)
    return Folder(
        counts=counts, name=own.name, parent_id=own.parent_id, settings=_settings(state, id_)
    )


def _settings(state: MailboxState, id_: FolderId) -> FolderSettings:
    return state.settings.get(id_) or FolderSettings()


def _path(state: MailboxState, folder_id: FolderId) -> list[FolderId]:
    """Ids of the folder and its ancestors, from the folder up; empty for TOP."""
    path: list[FolderId] = []
    while folder_id:
        path.append(folder_id)
        own = state.own.get(folder_id)
        folder_id = own.parent_id if own else TOP
    return path


def _children(state: MailboxState, folder_id: FolderId) -> list[FolderId]:
    return [
        id_ for id_, own in state.own.items() if own.parent_id == folder_id and not own.deleting
    ]


def _height(state: MailboxState, folder_id: FolderId) -> int:
    """Levels of the tree under the folder, the folder included."""
    return 1 + max((_height(state, id_) for id_ in _children(state, folder_id)), default=0)


def _is_taken(state: MailboxState, folder_id: FolderId, folder: OwnFolder) -> bool:
    """Whether another folder with the same parent has a name that looks the same.

    Names that differ only in case or in invisible characters look the same. The standard
    folders are at the top.
    """
    own = {
        _visible(other.name)
        for id_, other in state.own.items()
        if other.parent_id == folder.parent_id and id_ != folder_id and not other.deleting
    }
    standard = set() if folder.parent_id else set(FOLDERS)
    return _visible(folder.name) in own | standard


def _visible(name: str) -> str:
    """The name as its reader sees it: case-folded, without invisible characters; "" if blank."""
    return " ".join(_INVISIBLE.sub("", name).casefold().split())

"""Folders of a mailbox: which there are, and which may be made. Limits are in docs/limits.md."""

import re
import unicodedata

from schemas.mailbox import FOLDERS, Folder, FolderCounts, MailboxState, OwnFolder

FOLDERS_MAX = 500  # of the owner's making
DEPTH_MAX = 10  # 1 at the top
NAME_MAX_CHARS = 255
_REFUSED_CATEGORIES = frozenset({"Cc", "Cn", "Cs", "Zl", "Zp"})
# Default_Ignorable_Code_Point (UAX #44), and the blank braille pattern: nothing of them is seen.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def exists(state: MailboxState, folder_id: str) -> bool:
    """Whether the owner has this folder; one that is being deleted is gone."""
    own = state.own.get(folder_id)
    return folder_id in FOLDERS or (own is not None and not own.deleting)


def all_folders(state: MailboxState) -> tuple[Folder, ...]:
    """The standard folders in their order, then the owner's by name."""
    own = [_own(state, id_, it) for id_, it in state.own.items() if not it.deleting]
    own.sort(key=lambda folder: (folder.name.casefold(), folder.counts.id))
    return (*(_standard(state, id_) for id_ in FOLDERS), *own)


def normal_name(name: str) -> str | None:
    """The name in NFC, without space around it; None when it cannot be a folder's name.

    Invisible characters may stand in it, as scripts and emoji need joiners, but not alone.
    """
    normal = unicodedata.normalize("NFC", name).strip()
    strange = any(unicodedata.category(one) in _REFUSED_CATEGORIES for one in normal)
    if strange or "/" in normal or not _seen(normal) or len(normal) > NAME_MAX_CHARS:
        return None
    return normal


def fault_of(state: MailboxState, folder_id: str, wanted: OwnFolder) -> str:
    """Why the folder cannot become `wanted`, whose name is normal; "" when it can."""
    if wanted.parent_id and not exists(state, wanted.parent_id):
        return "There is no such parent folder."
    above = _path(state, wanted.parent_id)
    if folder_id in above:
        return "A folder cannot lie inside itself."
    if len(above) + _height(state, folder_id) > DEPTH_MAX:
        return f"Folders can be nested {DEPTH_MAX} deep."
    if _is_taken(state, folder_id, wanted):
        return "There is a folder of this name already."
    if folder_id not in state.own and len(state.own) >= FOLDERS_MAX:
        return f"There can be {FOLDERS_MAX} folders."
    return ""


def has_folders_inside(state: MailboxState, folder_id: str) -> bool:
    return bool(_children(state, folder_id))


def _standard(state: MailboxState, id_: str) -> Folder:
    counts = state.folders.get(id_) or FolderCounts(id_)
    return Folder(counts=counts, name=id_.capitalize(), role=id_)


def _own(state: MailboxState, id_: str, own: OwnFolder) -> Folder:
    counts = state.folders.get(id_) or FolderCounts(id_)
    return Folder(counts=counts, name=own.name, parent_id=own.parent_id)


def _path(state: MailboxState, folder_id: str) -> list[str]:
    """The folder and all above it; nothing for the top."""
    path: list[str] = []
    while folder_id:
        path.append(folder_id)
        own = state.own.get(folder_id)
        folder_id = own.parent_id if own else ""
    return path


def _children(state: MailboxState, folder_id: str) -> list[str]:
    return [
        id_ for id_, own in state.own.items() if own.parent_id == folder_id and not own.deleting
    ]


def _height(state: MailboxState, folder_id: str) -> int:
    return 1 + max((_height(state, id_) for id_ in _children(state, folder_id)), default=0)


def _is_taken(state: MailboxState, folder_id: str, wanted: OwnFolder) -> bool:
    """Letter case and invisible characters make no other name; standard folders are at the top."""
    own = {
        _seen(it.name)
        for id_, it in state.own.items()
        if it.parent_id == wanted.parent_id and id_ != folder_id and not it.deleting
    }
    standard = set() if wanted.parent_id else set(FOLDERS)
    return _seen(wanted.name) in own | standard


def _seen(name: str) -> str:
    """What two names have in common that look the same; "" when nothing of it is seen."""
    return " ".join(_INVISIBLE.sub("", name).casefold().split())

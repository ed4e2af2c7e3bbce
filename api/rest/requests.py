"""What clients may order, as JSON."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from mail.mailbox.command_rules import PLACES_MAX
from mail.mailbox.commit_builder import CHANGES_MAX
from mail.mailbox.folders import NAME_MAX_CHARS
from mail.mailbox.keywords import KEYWORD_MAX_CHARS, KEYWORDS_MAX

IDS_MAX = 2 * CHANGES_MAX
ResourceId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
ResourceIds = Annotated[list[ResourceId], msgspec.Meta(min_length=1, max_length=IDS_MAX)]
FolderIds = Annotated[list[ResourceId], msgspec.Meta(min_length=1, max_length=PLACES_MAX)]
KeywordName = Annotated[str, msgspec.Meta(min_length=1, max_length=KEYWORD_MAX_CHARS)]
KeywordNames = Annotated[
    dict[KeywordName, bool], msgspec.Meta(min_length=1, max_length=KEYWORDS_MAX)
]
FolderName = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MAX_CHARS)]


class MessagePatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At least one of these.

    `unread` and `flagged` are views of keywords (RFC 8621 §4.1.1); `keywords` says of each whether
    the message shall have it, and leaves the others. `folder_ids` replaces, and stands alone.
    """

    unread: bool | UnsetType = UNSET
    flagged: bool | UnsetType = UNSET
    keywords: KeywordNames | UnsetType = UNSET
    folder_ids: FolderIds | UnsetType = UNSET
    add_folder_ids: FolderIds | UnsetType = UNSET
    remove_folder_ids: FolderIds | UnsetType = UNSET


class MessagesPatch(MessagePatch, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same change of many messages."""

    ids: ResourceIds


class MessageIds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ids: ResourceIds


class NewFolder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`parent_id` null: at the top."""

    name: FolderName
    parent_id: ResourceId | None = None


class FolderPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At least one of the two; `parent_id` null: to the top."""

    name: FolderName | UnsetType = UNSET
    parent_id: ResourceId | UnsetType | None = UNSET

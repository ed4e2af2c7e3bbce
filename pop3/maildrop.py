"""Maildrop (RFC 1939 §5): the view of a mailbox that one session has, with its marks; pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pop3 import replies
from pop3.replies import Pop3Refusal
from schemas.folder_slots import DELETED_BIT, FolderSlots
from schemas.ids import MessageId


@dataclass(slots=True, kw_only=True)
class Maildrop:
    """The messages of the inbox at sign-in, numbered from 1 in the order of their uids.

    Numbers and sizes stay for the whole session. `deleted` has the numbers marked by DELE.
    """

    message_ids: list[MessageId]
    sizes_bytes: list[int]
    deleted: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, slots: FolderSlots) -> "Maildrop":
        """The maildrop of a folder: its messages that are not marked as deleted there."""
        shown = [index for index, flags in enumerate(slots.flags) if not flags & DELETED_BIT]
        return cls(
            message_ids=[slots.message_ids[index] for index in shown],
            sizes_bytes=[slots.sizes_bytes[index] for index in shown],
        )

    def __len__(self) -> int:
        """The number of messages, with the marked messages."""
        return len(self.message_ids)

    def numbers(self) -> Iterator[int]:
        """The numbers of the messages that are not marked."""
        return (number for number in range(1, len(self) + 1) if number not in self.deleted)

    @property
    def count(self) -> int:
        """The number of messages that are not marked."""
        return len(self) - len(self.deleted)

    @property
    def size_bytes(self) -> int:
        """The size of the messages that are not marked."""
        marked = sum(self.sizes_bytes[number - 1] for number in self.deleted)
        return sum(self.sizes_bytes) - marked

    def check(self, number: int) -> None:
        """Raises Pop3Refusal: there is no such message, or it is marked."""
        if not 1 <= number <= len(self):
            raise Pop3Refusal(replies.NO_MESSAGE)
        if number in self.deleted:
            raise Pop3Refusal(replies.DELETED)

    def message_id(self, number: int) -> MessageId:
        """The id of a message, which is its unique-id too (RFC 1939 §7): 36 characters."""
        return self.message_ids[number - 1]

    def marked_ids(self) -> list[MessageId]:
        """The ids of the marked messages, by number."""
        return [self.message_id(number) for number in sorted(self.deleted)]

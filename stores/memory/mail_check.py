"""The memory store's views held against its journal, and written anew from it."""

from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec

from mail import check as rules
from mail.history import History
from schemas.checks import COUNTS, LISTS, Checked, Difference, Rebuilt
from schemas.events import MailboxChanged
from schemas.mail import Head
from schemas.mailbox import MailboxState, Message
from schemas.snapshot import Snapshot


class Box(Protocol):
    """One user's part of the store."""

    domain_id: str
    journal: dict[int, MailboxChanged]
    messages: dict[str, Message]
    threads: dict[bytes, str]
    state: MailboxState
    folded: History


def check(box: Box) -> Checked:
    try:
        history = _history(box)
    except rules.JournalDamaged as error:
        return Checked(differences=(rules.journal_difference(error),))
    rows = _met(box, history)
    without_row = rows.missing()
    rows.threads(box.threads)
    told = rules.state_differences(box.state, rules.recounted(history))
    return Checked(
        differences=tuple(sorted({*rows.differences, *told})),
        messages=tuple(map(rules.kept, history.records.values())),
        without_row=tuple(map(rules.kept, without_row)),
    )


def rebuild(box: Box, user_id: str, parts: Collection[str], heads: Mapping[str, Head]) -> Rebuilt:
    history = _history(box)
    mended: list[Difference] = []
    if LISTS in parts:
        mended += _rows(box, user_id, history, heads)
    if COUNTS in parts:
        wanted = rules.recounted(history)
        mended += rules.state_differences(box.state, wanted)
        box.state = wanted
    return Rebuilt(state=box.state, mended=tuple(sorted(set(mended))))


def _history(box: Box) -> History:
    records = box.folded.records.values()
    return rules.folded(Snapshot(state=box.folded.state), records, box.journal.values())


def _met(box: Box, history: History) -> rules.RowCheck:
    rows = rules.RowCheck(history)
    for message_id, row in box.messages.items():
        rows.row(message_id, row)
    return rows


def _rows(box: Box, user_id: str, history: History, heads: Mapping[str, Head]) -> list[Difference]:
    rows = rules.RowCheck(history)
    kept = {id_: wanted for id_, row in box.messages.items() if (wanted := rows.row(id_, row))}
    for record in rows.missing():
        head = heads.get(record.message_id, rules.UNKNOWN)
        kept[record.message_id] = rows.made(
            record.message_id, user_id=user_id, domain_id=box.domain_id, head=head
        )
    lacking, moved = rows.threads(box.threads)
    box.threads |= lacking
    for id_, thread_id in moved.items():
        kept[id_] = msgspec.structs.replace(kept[id_], thread_id=thread_id)
    box.messages = kept
    return rows.differences

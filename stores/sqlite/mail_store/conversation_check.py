"""Compare the lists of conversations with the rows of `member`, and repair differences.

The phase `member` comes first. A thread is compared as a whole, so a step reads at least all
messages of one thread: 2 to 3 µs for each on a busy machine.
"""

from mail.pagination import ListPosition
from schemas.consistency import THREADS
from schemas.ids import ThreadId
from stores.sqlite.mail_store import conversations
from stores.sqlite.mail_store.consistency_check import CheckStep
from stores.sqlite.mail_store.conversations import CONVERSATION
from stores.sqlite.mail_store.list_rows import ListRow

_NEXT_THREAD = "SELECT min(thread_id) FROM member WHERE mailbox_key = ? AND thread_id > ?"


def threads(step: CheckStep) -> bool:
    """Compare the rows of a range of threads; write rows that are wrong or missing."""
    connection, key = step.connection, step.mailbox.key
    while step.rows_left > 0:
        after = step.after or ("",)
        ((thread_id,),) = connection.execute(_NEXT_THREAD, (key, *after)).fetchall()
        if thread_id is None:
            return True
        for row in conversations.thread_rows(connection, key, thread_id):
            step.rows_left -= 1 + row[5]
            if CONVERSATION.get(connection, row) != row:
                step.differs(THREADS, _difference(row, "is wrong or missing"))
                if step.repair:
                    CONVERSATION.put(connection, row)
        step.after = (thread_id,)
    return False


def rows(step: CheckStep) -> bool:
    """Delete a range's rows that are not at the newest message of their thread."""
    limit = step.rows_left
    found = CONVERSATION.after(step.connection, step.mailbox.key, step.after, limit)
    for row in found:
        if _position(step, row) != row[2:4]:
            step.differs(THREADS, _difference(row, "has a row at a wrong position"))
            if step.repair:
                CONVERSATION.delete(step.connection, row)
        step.after = CONVERSATION.position(row)
    step.rows_left -= len(found) + 1
    return len(found) < limit


def counts(step: CheckStep) -> bool:
    """Compare the sums over the lists: one query over all rows of `conversation`."""
    connection, key = step.connection, step.mailbox.key
    step.rows_left -= 1
    expected = conversations.counts(connection, key)
    stored = conversations.stored_counts(connection, key)
    if sorted(expected) != stored:
        for row in sorted(set(expected) ^ set(stored)):
            step.differs(THREADS, f"the counts of conversations of {_name(row)} are wrong")
        if step.repair:
            conversations.put_counts(connection, key, expected)
    return True


def _position(step: CheckStep, row: ListRow) -> ListPosition | None:
    thread_id: ThreadId = row[4]
    return conversations.newest(step.connection, step.mailbox.key, thread_id).get(row[1])


def _difference(row: ListRow, what: str) -> str:
    return f"thread {row[4]}: its conversation in {_name(row)} {what}"


def _name(row: ListRow) -> str:
    return f"folder {row[1]}" if row[1] else "all mail"

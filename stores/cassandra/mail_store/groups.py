"""Groups of successive steps that are written together: deliveries of new messages.

The journal entries of a group are in one partition, written in one mutation with one redo, and have
the timestamp of its first step, so that the entries of a later generation replace them from there
on. Views and state have the timestamp of its last step. Any other step is a group of its own.
"""

from collections.abc import Iterable, Iterator

from mail.mailbox.correspondents import is_drop_due
from mail.ports import Commit
from schemas.cql.mail_store import JOURNAL_SHIFT

STEPS_MAX = 16  # of a group; its redo has about 3 KB for each


def groups_of(commits: Iterable[Commit]) -> Iterator[list[Commit]]:
    """The commits, which have successive seqs, in groups."""
    group: list[Commit] = []
    for commit in commits:
        if group and not _may_join(group, commit):
            yield group
            group = []
        group.append(commit)
    if group:
        yield group


def _may_join(group: list[Commit], commit: Commit) -> bool:
    return (
        len(group) < STEPS_MAX
        and _only_delivers(group[-1])
        and _only_delivers(commit)
        and group[0].entry.seq >> JOURNAL_SHIFT == commit.entry.seq >> JOURNAL_SHIFT
        and commit.entry.command_id not in {one.entry.command_id for one in group}
    )


def _only_delivers(commit: Commit) -> bool:
    entry = commit.entry
    return (
        entry.settings is None
        and all(change.delivered for change in entry.changes)
        and not is_drop_due(entry.seq)
    )

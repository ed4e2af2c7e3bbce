"""mailbox, several deliveries to one user: one transaction and one publish for all of them.

The commands are decided in their order, each on the mailbox after the one before it; entries, seqs
and events are those of commands handled one by one. Only new deliveries are handled together. After
any failure the stage handles them one by one (agents/mailbox.py), which recognises what is written.
"""

from collections.abc import Sequence
from itertools import chain

from agents.mailbox import outputs_of, proven_state
from agents.mailbox_failures import MailboxSetAside
from agents.ports import MailboxPorts
from mail.errors import JournalConflict, Poison
from mail.mailbox import delivery_rules
from mail.mailbox.command_rules import was_applied
from mail.mailbox.threads import thread_keys
from mail.ports import Attempt, Commit
from schemas.events.mailbox_commands import Deliver
from schemas.events.unions import Event


async def deliver_together(
    events: Sequence[Event], attempts: Sequence[Attempt], ports: MailboxPorts
) -> Sequence[Sequence[Event]] | None:
    """Apply the deliveries of one user; return what to publish for each, None: one by one."""
    deliveries = [event for event in events if isinstance(event, Deliver)]
    if len(deliveries) < len(events):
        return None
    user_id = deliveries[0].user_id
    try:
        commits = await _commits(deliveries, attempts, ports)
        if commits is None:
            return None
        await ports.store.commit_all(commits)
    except (Poison, MailboxSetAside, JournalConflict):
        return None
    for attempt in attempts:
        attempt.committed()
    state = commits[-1].state
    attempts[-1].after_publish(lambda: ports.states.set(user_id, state))
    return [outputs_of(commit.entry) for commit in commits]


async def _commits(
    deliveries: Sequence[Deliver], attempts: Sequence[Attempt], ports: MailboxPorts
) -> list[Commit] | None:
    """The commits of new deliveries, each on the state after the one before it; None: not all new.

    Raises Poison: a command is invalid. MailboxSetAside: the user is set aside.
    """
    user_id = deliveries[0].user_id
    state = await proven_state(user_id, ports)
    positions = [(*attempt.origins, attempt.position) for attempt in attempts]
    if was_applied(state, chain.from_iterable(positions)):
        return None
    ids = [delivery.message_id for delivery in deliveries]
    keys = [thread_keys(delivery.head) for delivery in deliveries]
    all_keys = tuple(dict.fromkeys(chain.from_iterable(keys)))
    rows, bound = await ports.store.rows_and_threads(user_id, ids, all_keys)
    if rows or len(set(ids)) < len(ids):
        return None
    commits: list[Commit] = []
    for delivery, (position, *_), own_keys in zip(deliveries, positions, keys, strict=True):
        outcome = delivery_rules.deliver(state, delivery, position, own_keys, bound)
        if not isinstance(outcome, Commit):
            return None
        bound = bound | outcome.threads
        state = outcome.state
        commits.append(outcome)
    return commits

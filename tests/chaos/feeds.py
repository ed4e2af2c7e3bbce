"""Print the journal of each user as the store holds it, and what it leads to, as JSON.

The store is that of the stack of the environment.

A separate process, because it switches permanently to the user that owns the state folder.
"""

import asyncio
import json
from typing import Any

from cli.config.config import load
from cli.wiring.profile import adapters
from mail.pagination import all_rows
from mail.ports import MailStore
from schemas.events.mailbox_events import MailboxChanged
from tests.support.correspondents import received
from tests.support.mails import SENDER

PAGE = 500


async def feeds() -> dict[str, Any]:
    async with adapters(load()) as opened:
        directory, store = await opened.directory(), await opened.mail_store()
        users = [user async for user in all_rows(directory.list_users)]
        return {user.address: await feed(store, user.user_id) for user in users}


async def feed(store: MailStore, user_id: str) -> dict[str, Any]:
    """Return every `seq` of the journal in order, the `seq` of the state row, and correspondents.

    These are how often a mail of each sender counts, by the journal and by the view.
    """
    journal: list[MailboxChanged] = []
    while page := await store.journal(
        user_id, since_seq=journal[-1].seq if journal else 0, limit=PAGE
    ):
        journal += page
    found = await store.correspondents(user_id, SENDER, limit=1)
    return {
        "seqs": [entry.seq for entry in journal],
        "state": (await store.state(user_id)).seq,
        "received": received(journal, lambda _: SENDER),
        "correspondents": {one.address: one.received for one in found},
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(feeds())))

"""Print the journal of each user as the store holds it, as JSON, for the stack of the environment.

A separate process, because it switches permanently to the user that owns the state folder.
"""

import asyncio
import json
from typing import Any

from cli.config.config import load
from cli.wiring.profile import adapters
from mail.pagination import all_rows
from mail.ports import MailStore

PAGE = 500


async def feeds() -> dict[str, Any]:
    async with adapters(load()) as opened:
        directory, store = await opened.directory(), await opened.mail_store()
        users = [user async for user in all_rows(directory.list_users)]
        return {user.address: await feed(store, user.user_id) for user in users}


async def feed(store: MailStore, user_id: str) -> dict[str, Any]:
    """Return every `seq` of the journal in order, and the `seq` of the state row."""
    seqs: list[int] = []
    while page := await store.journal(user_id, since_seq=seqs[-1] if seqs else 0, limit=PAGE):
        seqs += [entry.seq for entry in page]
    return {"seqs": seqs, "state": (await store.state(user_id)).seq}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(feeds())))

"""Create users, sessions and filled mailboxes in a state folder whose stack is stopped.

`python -m benchmarks.seed --users N --filled 1000,200000 [--indexed N]`, with the settings of a
stack. Prints JSON: `{"users": {address: token}, "filled": {mails: token}}`. The rows are written
directly to the store and share one content, because only reading is measured on them. The index
gets documents for the newest N messages of the largest mailbox, in whole thousands.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator

import msgspec

from benchmarks import fixtures
from benchmarks.stack import print_json, run_in_home
from cli.config.config import Config
from cli.wiring.profile import adapters
from edge.sign_in.session_tokens import new_token, token_sha256
from mail.clock import now_ms
from mail.ids import new_id
from mail.ports import Directory, MailStore, SearchIndex
from operations.accounts import add_domain
from schemas.content import Stored
from schemas.directory import Session, User
from schemas.mailbox import Message
from schemas.search import IndexedTo
from stack.state_folder import StateFolder

CONCURRENT_COMMITS = 1_000
BODIES_MAX = 20_000  # different texts of indexed mail
DAY_MS = 24 * 3600 * 1000


async def add_user(directory: Directory, domain_id: str, number: int) -> str:
    """Add a user without a password, and a session; return the token of the session."""
    owner = fixtures.user_id(number)
    await directory.add_user(
        User(
            user_id=owner, domain_id=domain_id, address=fixtures.address(number), disabled=False,
            created_at_ms=now_ms(),
        )
    )  # fmt: skip
    token = new_token()
    digest, expires_at_ms = token_sha256(token), now_ms() + DAY_MS
    await directory.add_session(
        Session(token_sha256=digest, user_id=owner, expires_at_ms=expires_at_ms)
    )
    return token


async def fill(
    store: MailStore, owner: str, mails: int, content: Stored
) -> AsyncIterator[list[Message]]:
    """Fill a mailbox; yields its messages, oldest first, CONCURRENT_COMMITS at a time."""
    await store.load(owner)
    for first in range(0, mails, CONCURRENT_COMMITS):
        seqs = range(first + 1, min(first + CONCURRENT_COMMITS, mails) + 1)
        commits = [fixtures.delivery(owner, seq, content) for seq in seqs]
        await store.commit_all(commits)
        yield [commit.messages[0] for commit in commits]


async def index(search: SearchIndex, corpus: fixtures.Corpus, messages: list[Message]) -> None:
    """Add a document of its own words for each message."""
    documents = (
        msgspec.structs.replace(
            corpus.document(row.user_id, number),
            message_id=row.message_id,
            received_at_ms=row.received_at_ms,
        )
        for number, row in enumerate(messages)
    )
    await asyncio.gather(*map(search.add, documents))


async def seed(config: Config, users: int, filled: list[int], indexed: int) -> None:
    async with adapters(config) as opened:
        directory, store = await opened.directory(), await opened.mail_store()
        domain = await add_domain(directory, fixtures.DOMAIN)
        numbers = range(users + len(filled))
        tokens = [await add_user(directory, domain.domain_id, number) for number in numbers]
        mail = fixtures.Corpus(bodies=0).mail(fixtures.address(users), 0)
        content = await (await opened.contents()).put(new_id(), mail.data)
        search, corpus = await opened.search(), fixtures.Corpus(bodies=min(indexed, BODIES_MAX))
        for number, mails in enumerate(filled, start=users):
            owner, left = fixtures.user_id(number), mails
            async for messages in fill(store, owner, mails, content):
                if mails == max(filled) and left <= indexed:
                    await index(search, corpus, messages)
                left -= len(messages)
            if mails == max(filled) and indexed:
                state = await store.state(owner)
                await search.mark_filled(owner, IndexedTo(state.epoch, state.seq))
    print_json(
        {
            "users": {fixtures.address(number): tokens[number] for number in range(users)},
            "filled": dict(zip(filled, tokens[users:], strict=True)),
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, required=True)
    parser.add_argument("--filled", default="")
    parser.add_argument("--indexed", type=int, default=0)
    options = parser.parse_args()
    filled = [int(mails) for mails in options.filled.split(",") if mails]

    def work(_: StateFolder, config: Config) -> None:
        asyncio.run(seed(config, options.users, filled, options.indexed))

    run_in_home(work)


if __name__ == "__main__":
    main()

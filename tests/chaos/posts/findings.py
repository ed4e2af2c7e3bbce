"""What must be true of the posts after a run; each violation is one sentence."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from agents.relaying.attempt import IN_DOUBT_MS
from tests.support.stack_world import Client, World

from .load import Load, Post
from .peer import ANSWER_MAX_S, Arrivals

RECORDED_WITHIN_S = 10.0  # from the answer to a final dot, on a busy machine
CLOCK_STEP_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """`relay_ended_s`: when relay processes were killed, on the monotonic clock."""

    world: World
    posts: Sequence[Post]
    load: Load
    arrivals: Arrivals
    relay_ended_s: Sequence[float]

    def all(self) -> list[str]:
        checks: Sequence[Callable[[], Iterator[str]]] = (
            self.answers, self.submissions, self.mailboxes, self.far, self.repeats,
            self.dead_letters, self.audit, self.verify,
        )  # fmt: skip
        return [sentence for check in checks for sentence in check()]

    def answers(self) -> Iterator[str]:
        for post in self.posts:
            if len(post.answers) != 1:
                yield f"{post.token} was answered with {dict(post.answers)}"

    def submissions(self) -> Iterator[str]:
        """As many as there are posts, and all of them sent."""
        rows = {row["id"]: row for writer in self.load.writers for row in all_submissions(writer)}
        answered = {submission for post in self.posts for _, submission in post.answers}
        if rows.keys() != answered:
            yield f"submissions that no answer names: {sorted(rows.keys() - answered)}"
            yield f"answered submissions that do not exist: {sorted(answered - rows.keys())}"
        for row in rows.values():
            if row["status"] != "sent":
                yield f"submission {row['id']} is {row['status']}: {row['recipients']}"

    def mailboxes(self) -> Iterator[str]:
        """Each mail is once in Sent and once in its reader's inbox; nothing else is anywhere."""
        for number, writer in enumerate(self.load.writers):
            own = [post.token for post in self.posts if post.writer == number]
            yield from differences(f"Sent of writer{number}", writer, "sent", own)
            for folder in ("inbox", "junk", "drafts"):
                yield from differences(f"{folder} of writer{number}", writer, folder, [])
        for number, reader in enumerate(self.load.readers):
            address = f"reader{number}@postriver.test"
            own = [post.token for post in self.posts if post.reader == address]
            yield from differences(f"mail of {address}", reader, "inbox", own, "junk")

    def far(self) -> Iterator[str]:
        expected = {(post.token, address) for post in self.posts for address in post.far}
        found = set(self.arrivals.at_s)
        yield from (f"{each} did not arrive" for each in sorted(expected - found))
        yield from (f"{each} was not sent by anyone" for each in sorted(found - expected))

    def repeats(self) -> Iterator[str]:
        """A delivery is repeated only if relay was killed before it recorded the answer.

        It is repeated after the time for which a row stays in doubt.
        """
        for delivery, times in self.arrivals.repeated().items():
            for first_s, second_s in pairwise(times):
                until_s = first_s + ANSWER_MAX_S + RECORDED_WITHIN_S
                if not any(first_s <= end_s <= until_s for end_s in self.relay_ended_s):
                    yield f"{delivery} was repeated without a kill of relay after its final dot"
                if second_s - first_s < IN_DOUBT_MS / 1000 - CLOCK_STEP_S:
                    yield f"{delivery} was repeated after {second_s - first_s:.1f} s"

    def dead_letters(self) -> Iterator[str]:
        for row in json.loads(self.world.cli("dead-letters", "list", "--json").stdout):
            yield f"dead letter {row['id']}: {row.get('stage')}: {row.get('cause')}"

    def audit(self) -> Iterator[str]:
        done = self.world.cli("audit", "--json", check=False, timeout_s=600)
        if done.returncode != 0:
            yield f"audit: {done.stdout[-500:]}{done.stderr[-500:]}"

    def verify(self) -> Iterator[str]:
        done = self.world.cli("verify", "--content", check=False, timeout_s=600)
        if done.returncode != 0:
            yield f"verify: {done.stdout[-1000:]}{done.stderr[-500:]}"


def differences(
    place: str, owner: Client, folder: str, tokens: Sequence[str], *more: str
) -> Iterator[str]:
    """A sentence if the subjects in the folders are not exactly `tokens`."""
    rows = [row for each in (folder, *more) for row in owner.messages(each)]
    found, expected = Counter(row["subject"] for row in rows), Counter(tokens)
    if found != expected:
        yield f"{place}: too many {found - expected}, missing {expected - found}"


def all_submissions(owner: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = owner.call("GET", f"/v1/submissions?limit=500{cursor}")
        found += page["submissions"]
        if not page.get("next_cursor"):
            return found
        cursor = f"&cursor={page['next_cursor']}"

"""Mails sent by the API during the faults, each request repeated with its Idempotency-Key.

A request without a response is repeated until it is answered, and answered requests are sometimes
repeated too. So every mail must be sent exactly once, or, if its cancellation was confirmed, must
be in Drafts exactly once.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.stack_world import Client, Unwilling, World
from tests.support.waiting import eventually

WRITER, READER = "writer@postriver.test", "reader@postriver.test"
ANSWERED_WITHIN_S = 240.0
TOO_LATE = 409


@dataclass(slots=True)
class Post:
    """One mail of the writer, and what is known of it."""

    token: str
    undo_s: int
    cancel: bool
    submission_id: str = ""
    is_canceled: bool | None = None  # None: not asked for, or not answered


class Posting:
    """The writer, in a thread of its own."""

    def __init__(self, world: World, seed: int) -> None:
        self.posts: list[Post] = []
        self.answered: Counter[str] = Counter()
        self._chance = random.Random(f"{seed}/posts")
        self._writer, self._reader = world.add_user(WRITER), world.add_user(READER)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._failed: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the load and complete every request. Raises the first error of the load itself."""
        self._stop.set()
        self._thread.join()
        if self._failed:
            raise self._failed
        for post in self.posts:
            eventually(lambda post=post: self._complete(post), within_s=ANSWERED_WITHIN_S)

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._chance.uniform(0.3, 1.2)):
                self._act()
        except BaseException as error:
            self._failed = error
            raise

    def _act(self) -> None:
        """Post a new mail, or repeat an earlier request."""
        if self.posts and self._chance.random() < 0.4:
            self._post(self._chance.choice(self.posts[-5:]))
            return
        undo_s = self._chance.choice((0, 0, 1, 3))
        cancel = undo_s > 0 and self._chance.random() < 0.5
        self.posts.append(Post(f"p{len(self.posts)}", undo_s, cancel))
        self._complete(self.posts[-1])

    def _complete(self, post: Post) -> bool:
        """Ask for what is not answered yet; return whether everything is."""
        if not post.submission_id and not self._post(post):
            return False
        return not post.cancel or post.is_canceled is not None or self._cancel(post)

    def _post(self, post: Post) -> bool:
        body = {"to": [READER], "subject": post.token, "text": post.token, "undo_s": post.undo_s}
        try:
            answer = self._writer.call("POST", "/v1/messages", body, Idempotency_Key=post.token)
        except OSError:
            return False
        same = {post.submission_id, answer["submission_id"]} - {""}
        assert len(same) == 1, f"{post.token} became {same}"
        post.submission_id = answer["submission_id"]
        self.answered["posts"] += 1
        return True

    def _cancel(self, post: Post) -> bool:
        try:
            self._writer.call("DELETE", f"/v1/submissions/{post.submission_id}")
            post.is_canceled = True
        except Unwilling as error:
            if error.code != TOO_LATE:
                return False
            post.is_canceled = False
        except OSError:
            return False
        self.answered["cancels"] += 1
        return True

    def findings(self) -> Iterator[str]:
        """A sentence for each mail that is not exactly where it must be."""
        eventually(lambda: not self._unfinished(), within_s=ANSWERED_WITHIN_S, what="submissions")
        sent, drafts = self._subjects(self._writer, "sent"), self._subjects(self._writer, "drafts")
        arrived = self._subjects(self._reader, "inbox")
        for post in self.posts:
            is_sent = not post.is_canceled
            places = sent[post.token], arrived[post.token], drafts[post.token]
            if places != (is_sent, is_sent, not is_sent):
                yield f"{post}: in Sent, in the reader's inbox, in Drafts: {places}"

    def _unfinished(self) -> list[str]:
        rows = self._writer.call("GET", "/v1/submissions?limit=500")["submissions"]
        return [row["id"] for row in rows if row["status"] in {"held", "queued"}]

    @staticmethod
    def _subjects(owner: Client, folder: str) -> Counter[str]:
        return Counter(row["subject"] for row in owner.messages(folder))

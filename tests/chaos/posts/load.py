"""Posts of several users, each request sent one to three times with its Idempotency-Key.

A request without a response is repeated until it is answered. Each request is a new connection,
which the kernel gives to one of the edges.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from tests.support.far_domain import FAR
from tests.support.stack_world import Client, Unwilling, World

USERS = 4  # that write, and as many that read
THREADS = 6
PAUSE_S = 0.3  # before a request is repeated that was not answered
TRANSIENT = {429, 502, 503, 504}


@dataclass(slots=True)
class Post:
    """A mail, and the submissions that its requests were answered with."""

    number: int
    requests: int  # with the same key, at least
    at_once: bool  # the requests do not wait for each other
    to: tuple[str, ...]
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)  # message, submission

    @property
    def token(self) -> str:
        return f"p{self.number}"

    @property
    def writer(self) -> int:
        return self.number % USERS

    @property
    def far(self) -> list[str]:
        return [address for address in self.to if address.endswith(f"@{FAR}")]

    @property
    def reader(self) -> str | None:
        return next((address for address in self.to if not address.endswith(f"@{FAR}")), None)


def posts(seed: int, count: int) -> list[Post]:
    """The mails of a run: to a mailbox here, to one or two of the other domain, or to both."""
    chance = random.Random(f"{seed}/posts")
    made = []
    for number in range(count):
        here = [f"reader{chance.randrange(USERS)}@postriver.test"]
        far = [f"{name}.{number}@{FAR}" for name in ("carol", "dave")[: chance.choice((1, 1, 2))]]
        to = chance.choice((here, far, here + far, here + far))
        made.append(Post(number, chance.choice((1, 2, 3)), chance.random() < 0.5, tuple(to)))
    return made


class Load:
    """The requests, in threads."""

    def __init__(self, world: World, made: Sequence[Post]) -> None:
        self.outcomes: Counter[str] = Counter()  # of requests
        self.writers = [world.add_user(f"writer{n}@postriver.test") for n in range(USERS)]
        self.readers = [world.add_user(f"reader{n}@postriver.test") for n in range(USERS)]
        self._waiting: SimpleQueue[Post] = SimpleQueue()
        for post in made:
            self._waiting.put(post)
        self._threads = [threading.Thread(target=self._run) for _ in range(THREADS)]
        self._failed: list[BaseException] = []
        self._is_stopped = False

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End without an answer to every request."""
        self._is_stopped = True
        for thread in self._threads:
            thread.join()

    @property
    def is_running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        """Wait until every request is answered. Raises the first error."""
        for thread in self._threads:
            thread.join()
        if self._failed:
            raise self._failed[0]

    def _run(self) -> None:
        try:
            while not (self._failed or self._is_stopped):
                self._complete(self._waiting.get_nowait())
        except Empty:
            return
        except BaseException as error:
            self._failed.append(error)
            raise

    def _complete(self, post: Post) -> None:
        if post.at_once:
            others = [
                threading.Thread(target=self._request, args=(post,))
                for _ in range(post.requests - 1)
            ]
            for thread in others:
                thread.start()
            self._request(post)
            for thread in others:
                thread.join()
        else:
            for _ in range(post.requests):
                self._request(post)
        while not (post.answers or self._is_stopped):
            time.sleep(PAUSE_S)
            self._request(post)

    def _request(self, post: Post) -> None:
        writer: Client = self.writers[post.writer]
        body = {"to": post.to, "subject": post.token, "text": f"This is {post.token}.", "undo_s": 0}
        try:
            answer = writer.call("POST", "/v1/messages", body, Idempotency_Key=post.token)
        except Unwilling as error:
            self.outcomes[str(error.code)] += 1
            if error.code not in TRANSIENT:
                self._failed.append(error)
        except OSError as error:
            self.outcomes[type(error).__name__] += 1
        else:
            self.outcomes["202"] += 1
            post.answers[answer["id"], answer["submission_id"]] += 1

"""Mails that users send: rates, CPU per process, and latency to the recipient's screen.

The recipients are users, or addresses of other domains whose MX hosts are smtp-sink. A mail is sent
when its submission is: every recipient's mailbox or server has it.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import aiohttp

from benchmarks.end_to_end import Owners, percentiles
from benchmarks.fixtures import BODY_WORDS, Corpus
from benchmarks.outside import DOMAINS, STUCK_DOMAIN
from benchmarks.processes import Meter
from benchmarks.stack import Stack

SESSIONS = 8  # POST requests at the same time
REPEATED_AFTER_S = 0.5  # a 429 or 503
Recipient = Callable[[int], str]  # of the mail with this number


class Poster:
    """Posts mails of the users in turn, each with its Idempotency-Key."""

    def __init__(self, stack: Stack, corpus: Corpus, users: Mapping[str, str]) -> None:
        self._stack = stack
        self._corpus = corpus
        self._users = list(users.items())
        self._numbers = itertools.count()
        self.answered_s: dict[str, float] = {}  # by submission id

    async def post(self, count: int, recipient: Recipient) -> dict[str, float]:
        """Post `count` mails, SESSIONS at a time; return when each was answered."""
        bodies = iter([self._body(recipient) for _ in range(count)])
        before = set(self.answered_s)
        async with aiohttp.ClientSession(self._stack.config.http_url) as http:
            await asyncio.gather(*(self._session(http, bodies) for _ in range(SESSIONS)))
        return {id_: at for id_, at in self.answered_s.items() if id_ not in before}

    def _body(self, recipient: Recipient) -> tuple[int, dict[str, Any]]:
        number = next(self._numbers)
        return number, {
            "to": [recipient(number)],
            "subject": " ".join(self._corpus.draw(6)),
            "text": " ".join(self._corpus.draw(BODY_WORDS)),
            "undo_s": 0,
        }

    async def _session(self, http: aiohttp.ClientSession, bodies: Any) -> None:
        for number, body in bodies:
            _, token = self._users[number % len(self._users)]
            headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"bench-{number}"}
            self.answered_s[await _until_taken(http, body, headers)] = time.perf_counter()


async def _until_taken(
    http: aiohttp.ClientSession, body: Mapping[str, Any], headers: Mapping[str, str]
) -> str:
    """POST with the same key until the answer is 202; return the submission id."""
    while True:
        async with http.post("/v1/messages", json=body, headers=headers) as response:
            if response.status == HTTPStatus.ACCEPTED:
                return str((await response.json())["submission_id"])
            if response.status not in {
                HTTPStatus.TOO_MANY_REQUESTS,
                HTTPStatus.SERVICE_UNAVAILABLE,
            }:
                raise RuntimeError(await response.text())
        await asyncio.sleep(REPEATED_AFTER_S)


def local(users: Sequence[str]) -> Recipient:
    """The user after the sender."""
    return lambda number: users[(number + 1) % len(users)]


def remote(number: int) -> str:
    return f"reader{number}@{DOMAINS[number % len(DOMAINS)]}"


def stuck(number: int) -> str:
    return f"reader{number}@{STUCK_DOMAIN}"


async def throughput(
    stack: Stack, poster: Poster, users: Mapping[str, str], count: int, recipient: Recipient
) -> dict[str, Any]:
    """Post `count` mails as fast as they are answered, and wait until all are sent."""
    async with Owners(stack, users) as owners:
        meter, began_s = Meter(stack.pids()), time.perf_counter()
        answered = await poster.post(count, recipient)
        answered_s = time.perf_counter()
        await owners.wait_for_sent(answered)
        sent_s = time.perf_counter()
    return {
        "mails": count,
        "per_s": {
            "answered": round(count / (answered_s - began_s), 1),
            "sent": round(count / (sent_s - began_s), 1),
        },
        "cpu_ms_per_mail": meter.ms_per(count),
    }


async def latency(
    stack: Stack, poster: Poster, users: Mapping[str, str], count: int
) -> dict[str, Any]:
    """Measure from the POST to the frame on the recipient's WebSocket, one mail at a time."""
    took_ms = []
    async with Owners(stack, users) as owners:
        for _ in range(count):
            began_s = time.perf_counter()
            posted = await poster.post(1, local(list(users)))
            await owners.wait_for(posted)
            took_ms += [(owners.arrived_s[id_] - began_s) * 1000 for id_ in posted]
    return {"mails": count, **percentiles(took_ms)}


async def beside_stuck(
    stack: Stack, poster: Poster, users: Mapping[str, str], *, count: int, stuck_mails: int
) -> dict[str, Any]:
    """Measure from the POST to the other server's 250, without and with mails to a tarpit."""
    found = {}
    for name, waiting in (("alone", 0), (f"with {stuck_mails} at a tarpit", stuck_mails)):
        if waiting:
            await poster.post(waiting, stuck)
        took_ms = []
        async with Owners(stack, users) as owners:
            for _ in range(count):
                began_s = time.perf_counter()
                posted = await poster.post(1, remote)
                await owners.wait_for_sent(posted)
                took_ms += [(owners.sent_s[id_] - began_s) * 1000 for id_ in posted]
        found[name] = {"mails": count, **percentiles(took_ms)}
    return found

"""The server of the other domain: answers the final dot slowly, and records what arrived when."""

import asyncio
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.far_domain import FarDomain, far_domain
from tests.support.smtp_peer import TAKEN, Connection

ANSWER_MAX_S = 0.6  # so that kills fall between a final dot and its answer
_SUBJECT = re.compile(rb"^Subject: (\S+)\r$", re.MULTILINE)
Delivery = tuple[str, str]  # token of the mail, recipient


@dataclass(slots=True)
class Arrivals:
    """When each delivery was taken, on the monotonic clock."""

    domain: FarDomain
    at_s: dict[Delivery, list[float]] = field(default_factory=lambda: defaultdict(list))

    def repeated(self) -> dict[Delivery, list[float]]:
        return {each: times for each, times in self.at_s.items() if len(times) > 1}


@contextmanager
def arrivals(seed: int) -> Iterator[Arrivals]:
    """Serve far.example during the block."""
    chance = random.Random(f"{seed}/peer")

    async def take(connection: Connection) -> None:
        """Answer a final dot. The mail counts from before the answer, as a server may die then."""
        mail, now_s = connection.peer.received[-1], time.monotonic()
        match = _SUBJECT.search(mail.content)
        for address in mail.recipients:
            counted.at_s[match[1].decode() if match else "?", address].append(now_s)
        await asyncio.sleep(chance.uniform(0, ANSWER_MAX_S))
        connection.writer.write(f"{TAKEN}\r\n".encode())
        await connection.writer.drain()

    with far_domain(actions={"DOT": take}) as domain:
        counted = Arrivals(domain)
        yield counted

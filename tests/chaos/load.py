"""Steady load during the faults: senders that record every reply, and owners that change mail.

No mail is sent twice, so a mailbox may hold a mail at most once, for any reply.
"""

import random
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from tests.support.stack_world import Client, World

from .mails import OWNERS, Mail, next_mail
from .owning import Owner

SENDERS = 2
REPLY_LIMIT_S = 30.0  # that a sender waits for one reply


@dataclass(slots=True)
class Attempt:
    """One attempt to send a mail. `outcome`: accepted, refused, or doubt without a final reply."""

    mail: Mail
    at_s: float
    outcome: str
    reply: str
    mail_id: str = ""


@dataclass(slots=True)
class Availability:
    """Times of successful calls, and the times and names of other results."""

    success_at_s: list[float] = field(default_factory=list)
    failures: list[tuple[float, str]] = field(default_factory=list)

    def succeeded_since(self, since_s: float) -> bool:
        return bool(self.success_at_s) and self.success_at_s[-1] > since_s

    def longest_gap_s(self, since_s: float, until_s: float) -> float:
        """Return the longest time without a successful call."""
        inside = [at_s for at_s in self.success_at_s if since_s < at_s < until_s]
        edges = [since_s, *inside, until_s]
        return max(after - before for before, after in pairwise(edges))

    def problems(self, since_s: float, until_s: float) -> Counter[str]:
        return Counter(name for at_s, name in self.failures if since_s <= at_s <= until_s)


class Load:
    """Load from `start` to `stop`: about `mails_s` mails per second."""

    def __init__(self, world: World, owners: dict[str, Client], seed: int, mails_s: float) -> None:
        self.attempts: list[Attempt] = []
        self.sending, self.reading = Availability(), Availability()
        chance = random.Random(f"{seed}/owners")
        self.owners = {
            address: Owner(address, client, chance) for address, client in owners.items()
        }
        self._world = world
        self._seed = seed
        self._pause_s = SENDERS / mails_s
        self._stop = threading.Event()
        senders: list[Callable[[], None]] = [
            lambda n=n: self._run_sender(n) for n in range(SENDERS)
        ]
        self._threads = [threading.Thread(target=run) for run in (*senders, self._run_owners)]
        self._failed: list[BaseException] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Wait for the last replies. Raises the first error of the load itself."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._failed:
            raise self._failed[0]

    def _run_sender(self, sender: int) -> None:
        chance = random.Random(f"{self._seed}/{sender}")
        number = 0
        while not self._stop.wait(chance.uniform(0.5, 1.5) * self._pause_s):
            number += 1
            self._record(self._send(next_mail(chance, f"t{self._seed}x{sender}x{number}")))

    def _record(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)
        if attempt.outcome == "accepted":
            self.sending.success_at_s.append(time.monotonic())
        else:
            self.sending.failures.append((time.monotonic(), attempt.reply))

    def _send(self, mail: Mail) -> Attempt:
        attempt = Attempt(mail, time.time(), "refused", "")
        try:
            with smtplib.SMTP(
                "127.0.0.1", self._world.base, "sender.example", timeout=REPLY_LIMIT_S
            ) as client:
                self._dialogue(client, attempt)
        except smtplib.SMTPResponseException as error:
            attempt.reply = attempt.reply or str(error.smtp_code)
        except OSError as error:
            attempt.reply = attempt.reply or _error_name(error)
        return attempt

    def _dialogue(self, client: smtplib.SMTP, attempt: Attempt) -> None:
        """Send one mail. Without a reply after DATA began, the outcome is doubt."""
        client.ehlo()
        recipients = ((client.rcpt, address) for address in attempt.mail.to)
        for step, address in [(client.mail, "sender@sender.example"), *recipients]:
            code, text = step(address)
            if code != 250:
                attempt.reply = _code(code, text)
                return
        attempt.outcome = "doubt"
        code, text = client.data(attempt.mail.data)
        attempt.outcome = "accepted" if code == 250 else "refused"
        attempt.reply = _code(code, text)
        if code == 250:
            attempt.mail_id = next(word for word in text.decode().split() if word.count("-") == 4)

    def _run_owners(self) -> None:
        chance = random.Random(f"{self._seed}/owner")
        while not self._stop.wait(chance.uniform(0.3, 1.0)):
            owner = self.owners[chance.choice(OWNERS)]
            try:
                owner.act()
            except OSError as error:
                self.reading.failures.append((time.monotonic(), _error_name(error)))
            except BaseException as error:
                self._failed.append(error)
                raise
            finally:
                self.reading.success_at_s += owner.success_at_s
                owner.success_at_s.clear()


def _code(code: int, text: bytes) -> str:
    return f"{code} {text.decode(errors='replace').split(' ')[0]}"


def _error_name(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    code = getattr(error, "code", None)
    return f"HTTP {code}" if code else type(error).__name__

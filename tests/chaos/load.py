"""Steady load while things break: senders who note every answer, owners who change their mail.

Nothing is sent twice, so whatever was answered, a mailbox may hold a mail once at most.
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
PATIENCE_S = 30.0  # of a sender, for one answer


@dataclass(slots=True)
class Answer:
    """What became of a try: `accepted`, `refused`, or `doubt`, when the last answer never came."""

    mail: Mail
    at_s: float
    outcome: str
    reply: str
    mail_id: str = ""


@dataclass(slots=True)
class Watch:
    """When something answered well, and what else it said."""

    good_at_s: list[float] = field(default_factory=list)
    bad: list[tuple[float, str]] = field(default_factory=list)

    def good_since(self, since_s: float) -> bool:
        return bool(self.good_at_s) and self.good_at_s[-1] > since_s

    def longest_gap_s(self, since_s: float, until_s: float) -> float:
        """The longest time without a good answer."""
        inside = [at for at in self.good_at_s if since_s < at < until_s]
        edges = [since_s, *inside, until_s]
        return max(after - before for before, after in pairwise(edges))

    def said(self, since_s: float, until_s: float) -> Counter[str]:
        return Counter(what for at, what in self.bad if since_s <= at <= until_s)


class Load:
    """Runs from `start` to `stop`, about `mails_s` mails a second."""

    def __init__(self, world: World, owners: dict[str, Client], seed: int, mails_s: float) -> None:
        self.answers: list[Answer] = []
        self.sending, self.reading = Watch(), Watch()
        chance = random.Random(f"{seed}/owners")
        self.owners = {each: Owner(each, client, chance) for each, client in owners.items()}
        self._world = world
        self._seed = seed
        self._pause_s = SENDERS / mails_s
        self._stop = threading.Event()
        works: list[Callable[[], None]] = [lambda n=n: self._send_on(n) for n in range(SENDERS)]
        self._threads = [threading.Thread(target=one) for one in (*works, self._own_on)]
        self._failed: list[BaseException] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Until every answer is there; what the load itself got wrong is raised."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._failed:
            raise self._failed[0]

    def _send_on(self, sender: int) -> None:
        chance = random.Random(f"{self._seed}/{sender}")
        number = 0
        while not self._stop.wait(chance.uniform(0.5, 1.5) * self._pause_s):
            number += 1
            self._note(self._send(next_mail(chance, f"t{self._seed}x{sender}x{number}")))

    def _note(self, answer: Answer) -> None:
        self.answers.append(answer)
        if answer.outcome == "accepted":
            self.sending.good_at_s.append(time.monotonic())
        else:
            self.sending.bad.append((time.monotonic(), answer.reply))

    def _send(self, mail: Mail) -> Answer:
        said = Answer(mail, time.time(), "refused", "")
        try:
            with smtplib.SMTP(
                "127.0.0.1", self._world.base, "sender.example", timeout=PATIENCE_S
            ) as client:
                self._dialogue(client, said)
        except smtplib.SMTPResponseException as error:
            said.reply = said.reply or str(error.smtp_code)
        except OSError as error:
            said.reply = said.reply or _in_words(error)
        return said

    def _dialogue(self, client: smtplib.SMTP, said: Answer) -> None:
        """From DATA on an answer that does not come leaves the sender in doubt."""
        client.ehlo()
        steps = [(client.mail, "sender@sender.example"), *((client.rcpt, a) for a in said.mail.to)]
        for step, address in steps:
            code, text = step(address)
            if code != 250:
                said.reply = _code(code, text)
                return
        said.outcome = "doubt"
        code, text = client.data(said.mail.data)
        said.outcome = "accepted" if code == 250 else "refused"
        said.reply = _code(code, text)
        if code == 250:
            said.mail_id = next(word for word in text.decode().split() if word.count("-") == 4)

    def _own_on(self) -> None:
        chance = random.Random(f"{self._seed}/owner")
        while not self._stop.wait(chance.uniform(0.3, 1.0)):
            owner = self.owners[chance.choice(OWNERS)]
            try:
                owner.act()
            except OSError as error:
                self.reading.bad.append((time.monotonic(), _in_words(error)))
            except BaseException as error:
                self._failed.append(error)
                raise
            finally:
                self.reading.good_at_s += owner.good_at_s
                owner.good_at_s.clear()


def _code(code: int, text: bytes) -> str:
    return f"{code} {text.decode(errors='replace').split(' ')[0]}"


def _in_words(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    code = getattr(error, "code", None)
    return f"HTTP {code}" if code else type(error).__name__

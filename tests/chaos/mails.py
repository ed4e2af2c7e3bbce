"""The mails of a run; each has a unique token in its subject."""

import random
from dataclasses import dataclass

from tests.support.mails import compose, eicar, gtube

WORD = "riverbank"  # in the text of every delivered mail, for search
OWNERS = tuple(f"{name}@postriver.test" for name in ("ann", "ben", "cho", "dee"))
SCAM = "Dear Friend,\nthis is risk free, with a money back guarantee of one million US dollars.\n"
FOLDER_OF = {"plain": "inbox", "big": "inbox", "junk": "junk", "virus": None, "spam": None}


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to send. `folder`: the folder it is delivered to; None: it must be in quarantine."""

    token: str
    kind: str
    to: tuple[str, ...]  # forward-paths
    data: bytes

    @property
    def owners(self) -> set[str]:
        return {address.replace("+river@", "@") for address in self.to}

    @property
    def folder(self) -> str | None:
        return FOLDER_OF[self.kind]


def next_mail(chance: random.Random, token: str) -> Mail:
    kind = chance.choices(("plain", "big", "junk", "virus", "spam"), weights=(70, 12, 8, 8, 2))[0]
    owners = chance.sample(OWNERS, chance.choice((1, 1, 1, 2, 3, 4)))
    to = [
        address.replace("@", "+river@") if chance.random() < 0.1 else address for address in owners
    ]
    return Mail(token, kind, tuple(to), _data(chance, token, kind))


def _data(chance: random.Random, token: str, kind: str) -> bytes:
    text = f"Good morning from the {WORD}. Our number is {token}.\n"
    if kind == "virus":
        return _named(eicar(), "Infected", token)
    if kind == "spam":
        return _named(gtube(), "Unwanted", token)
    if kind == "junk":
        return compose(f"Letter {token}", SCAM + text)
    attached = chance.randbytes(chance.randrange(30_000, 200_000)) if kind == "big" else b""
    return compose(f"Letter {token}", text, attach=attached)


def _named(data: bytes, subject: str, token: str) -> bytes:
    old, new = f"Subject: {subject}".encode(), f"Subject: Letter {token}".encode()
    assert old in data
    return data.replace(old, new)

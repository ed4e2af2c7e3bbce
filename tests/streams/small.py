"""A river of three short topics, for tests: notes go in, are answered, and are counted."""

import msgspec

from schemas.events.mailbox_events import Position
from streams.topology import FOREVER, Stage, Topic


class Note(msgspec.Struct, frozen=True, kw_only=True, tag="note.v1"):
    """One piece of work: `word` tells the test's handler what to do with it."""

    key: str
    number: int
    word: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag="answer.v1"):
    key: str
    number: int
    attempt: int = 1
    offset: int = 0
    origins: tuple[Position, ...] = ()


def topic(name: str, carries: tuple[type, ...], **more) -> Topic:
    return Topic(
        name=name,
        carries=carries,
        key=lambda event: event.key,
        keyed_by="key",
        writers=("test",),
        reader=None,
        only_copy=True,
        **{"settings": dict(FOREVER), **more},
    )


class River:
    """Names of one test's own: topics, stage, role (group)."""

    def __init__(self, name: str, *, in_flight: int = 8, ordered: bool = False) -> None:
        self.role = name
        self.notes = topic(f"{name}.notes", (Note,))
        self.answers = topic(f"{name}.answers", (Answer,))
        self.dead = topic(f"{name}.dead", ())
        self.topics = (self.notes, self.answers, self.dead)
        self.topic_of = {Note: self.notes, Answer: self.answers}
        self.stage = Stage(
            name="answer",
            role=name,
            reads=self.notes.name,
            emits=(Answer,),
            in_flight=in_flight,
            ordered=ordered,
            failures_to=self.dead.name,
        )

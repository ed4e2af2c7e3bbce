"""A topology of three topics for tests: one stage answers notes."""

import msgspec

from schemas.events.mailbox_events import Position
from streams.topology import FOREVER, Stage, Topic


class Note(msgspec.Struct, frozen=True, kw_only=True, tag="note.v1"):
    """An event to handle; `word` selects what the handler does (small_role.py)."""

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


class SmallTopology:
    """Topics, stage and role under names that no other test uses."""

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

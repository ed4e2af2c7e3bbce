"""Handling of several events of one key at once: all are handled, or each one by itself."""

import asyncio
from dataclasses import replace

import pytest

from mail.errors import BrokerUnavailable, Fatal, StoreUnavailable
from streams.codec import encode
from streams.config import StreamsConfig
from streams.worker.attempt_notes import AttemptNotes, stamp_of
from streams.worker.event_handling import ReceivedEvent
from streams.worker.stage_handler import bind
from tests.streams.small import Answer, Note
from tests.streams.worker.test_event_handling import CONFIG, FakePublisher, Stage


class TogetherStage(Stage):
    """A stage that answers several notes at once, or raises `failure`, or declines."""

    def __init__(
        self, failure: Exception | None = None, *, declines: bool = False, **fields
    ) -> None:
        super().__init__(**fields)
        self.failure, self.declines = failure, declines
        self.calls: list[list[int]] = []
        handler = bind(self.handle, "ports", together=self.together)
        self.handling = replace(self.handling, handler=handler)

    async def handle(self, event, work, ports):
        raise AssertionError("the events are handled together")

    async def together(self, events, works, ports):
        assert ports == "ports"
        self.calls.append([work.position.offset for work in works])
        works[-1].after_publish(lambda: self.after.append(len(self.publisher.events)))
        if self.failure is not None:
            raise self.failure
        if self.declines:
            return None
        return [[Answer(key=event.key, number=event.number)] for event in events]

    async def run_all(self, *values: bytes) -> bool:
        values = values or tuple(encode(Note(key="k", number=n)) for n in range(3))
        received = [
            ReceivedEvent(partition=2, offset=7 + n, key=b"k", value=value)
            for n, value in enumerate(values)
        ]
        async with asyncio.timeout(20):
            return await self.handling.handle_together(received, lambda: True)


async def test_all_outputs_are_published_in_order_before_all_are_done() -> None:
    stage = TogetherStage()
    assert await stage.run_all()
    assert [answer.number for answer in stage.publisher.events] == [0, 1, 2]
    assert (stage.calls, stage.after) == ([[7, 8, 9]], [3])
    assert stage.status.events["answer", "done"] == 3


@pytest.mark.parametrize("failure", [StoreUnavailable("store"), ZeroDivisionError("!")])
async def test_after_a_failure_none_is_done(failure: Exception) -> None:
    stage = TogetherStage(failure)
    assert not await stage.run_all()
    assert stage.publisher.events == []
    assert stage.status.events["answer", "done"] == 0


async def test_what_the_stage_declines_is_handled_one_by_one() -> None:
    stage = TogetherStage(declines=True)
    assert not await stage.run_all()
    assert stage.after == []


async def test_outputs_in_doubt_are_published_again_one_by_one() -> None:
    stage = TogetherStage(publisher=FakePublisher(BrokerUnavailable("away")))
    assert not await stage.run_all()
    assert stage.after == []


async def test_a_fatal_error_ends_the_process() -> None:
    with pytest.raises(Fatal):
        await TogetherStage(Fatal("a second writer")).run_all()


async def test_an_event_that_cannot_be_decoded_is_left_to_itself() -> None:
    stage = TogetherStage()
    assert not await stage.run_all(encode(Note(key="k", number=1)), b"\xc1")
    assert stage.calls == []


async def test_suspects_of_an_ended_process_are_not_handled_together(tmp_path) -> None:
    config = StreamsConfig(
        bootstrap=CONFIG.bootstrap, worker="w1", data_folder=tmp_path, notes_folder=tmp_path
    )
    stage = TogetherStage(config=config)
    left = AttemptNotes(tmp_path / f"{stage.handling.topic.name}-2", stamp_of("1:x"))
    left.begin(8, 10, alone=False)
    left._close_file()  # as a kill does
    assert not await stage.run_all()
    assert stage.calls == []

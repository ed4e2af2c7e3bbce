"""After its end a harness takes nothing: an ack would pass events that were cancelled before it."""

import asyncio
from types import SimpleNamespace

from faust.types import TP

from streams.config import StreamsConfig
from streams.harness import Harness
from streams.status import RoleStatus


class Handling:
    """Events whose offset is in `held` never end."""

    def __init__(self, folder, held: set[int]) -> None:
        self.stage = SimpleNamespace(name="s", in_flight=4, ordered=False)
        self.topic = SimpleNamespace(name="t")
        self.config = StreamsConfig(bootstrap="-", worker="w", data_folder=folder)
        self.status = RoleStatus()
        self._held = held

    async def handle(self, arrival, still_ours) -> None:
        if arrival.offset in self._held:
            await asyncio.Event().wait()


def event(offset: int, acked: list[int]):
    message = SimpleNamespace(topic="t", partition=0, offset=offset, key=b"k", value=b"v")
    return SimpleNamespace(message=message, ack=lambda: acked.append(offset))


async def test_an_event_that_comes_after_the_end_is_not_acknowledged(tmp_path) -> None:
    acked: list[int] = []
    app = SimpleNamespace(consumer=SimpleNamespace(on_buffer_full=list, on_buffer_drop=list))
    harness = Harness(app, Handling(tmp_path, held={2}), on_fatal=lambda error: None)
    for offset in (1, 2):
        harness._take(event(offset, acked))
    await asyncio.sleep(0.01)
    assert acked == [1]
    await harness.drain(0.05)
    harness._take(event(3, acked))
    await asyncio.sleep(0.01)
    assert acked == [1]
    assert TP("t", 0) not in harness._windows

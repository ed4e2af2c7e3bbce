"""Reconnecting reader: sessions follow each other, and the log gets two lines for an outage."""

import asyncio
import logging

from streams.readers.reconnecting import ReconnectingReader


async def test_an_outage_is_one_warning_and_one_line_at_its_end(caplog) -> None:
    caplog.set_level(logging.INFO)
    ended = asyncio.Event()
    steps = iter(["fail", "read", "fail", "end", "fail", "fail", "read", "read"])

    async def session() -> None:
        step = next(steps, None)
        if step == "read":
            reader.connected()
        elif step == "fail":
            raise OSError("away")
        elif step is None:
            ended.set()

    reader = ReconnectingReader("feed", session, retry_s=0.001)
    reader.start()
    async with asyncio.timeout(20):
        await ended.wait()
    await reader.stop()
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "feed: reading failed, trying again every 0.001 s: OSError('away')"),
        ("INFO", "feed: reading again"),
        ("WARNING", "feed: reading failed, trying again every 0.001 s: OSError('away')"),
        ("INFO", "feed: reading again"),
    ]


async def test_a_reader_that_is_stopped_begins_no_session() -> None:
    begun = asyncio.Event()
    ends: list[str] = []

    async def session() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("ended")

    reader = ReconnectingReader("feed", session, retry_s=0.001)
    reader.start()
    async with asyncio.timeout(20):
        await begun.wait()
    await reader.stop()
    assert ends == ["ended"]

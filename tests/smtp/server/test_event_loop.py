"""A big mail does not block the event loop, as it does in stock aiosmtpd."""

import asyncio
import hashlib
import time

import pytest

from schemas.content import Stored

PAUSE_MAX_S = 0.25  # of the loop's own CPU; measured: 0.01 to 0.03
SIZE_BYTES = 20 * 1000 * 1000
MAILS = {
    "lines": b"x" * 76 + b"\r\n",
    "empty lines": b"\r\n",
    "dots": b"..\r\n",
    "stuffed": b"..x\r\n",
    "received": b"Received: x\r\n",
    "one-letter lines": b"x\r\n",
    "long lines": b"x" * 1_000_000 + b"\r\n",
}


class OffLoopStore:
    """Hashes in a thread, as a real store does."""

    def __init__(self) -> None:
        self.sizes_bytes: list[int] = []

    async def put(self, mail_id: str, content: bytes) -> Stored:
        digest = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        self.sizes_bytes.append(len(content))
        return Stored(mail_id, len(content), digest)


async def longest_pause_s(work) -> float:
    """The most CPU time that the loop's thread spent while another task was ready."""
    task = asyncio.ensure_future(work)
    longest_s, before_s = 0.0, time.thread_time()
    while not task.done():
        await asyncio.sleep(0.001)
        now_s = time.thread_time()
        longest_s, before_s = max(longest_s, now_s - before_s), now_s
    await task
    return longest_s


@pytest.mark.parametrize("kind", MAILS)
async def test_twenty_megabytes(rig, kind):
    line = MAILS[kind]
    rig.contents = OffLoopStore()
    await rig.serve(received_max=10**9)
    client = await rig.connect()
    await client.begin()

    async def deliver() -> None:
        block = line * max(1, 65536 // len(line))
        for _ in range(SIZE_BYTES // len(block)):
            await client.send(block)
        await client.send(b".\r\n")
        assert (await client.reply()).startswith("250 2.0.0")

    pause_s = await longest_pause_s(deliver())
    print(f"{kind}: {pause_s * 1000:.1f} ms")
    assert pause_s < PAUSE_MAX_S
    assert rig.contents.sizes_bytes[0] > SIZE_BYTES // 2

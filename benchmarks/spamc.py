"""Replacement of spamd that reports no spam: `python spamc.py SOCKET`. For benchmarks only.

The CPU of SpamAssassin would hide all other costs of a mail. This program implements its protocol
(SPAMC/1.5: PING, SYMBOLS, HEADERS) and responds at once.
"""

import asyncio
import re
import sys
from contextlib import suppress
from pathlib import Path

SCORE = b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: False ; 0.0 / 5.0\r\n\r\n%b"
VERSION = b"X-Spam-Checker-Version: none (left out for measuring) on bench\r\n\r\n"
_LENGTH = re.compile(rb"^content-length:\s*(\d+)", re.IGNORECASE | re.MULTILINE)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        if length := _LENGTH.search(head):
            await reader.readexactly(int(length[1]))
        writer.write(reply(head.split(b" ", 1)[0]))
        await writer.drain()
    writer.close()


def reply(verb: bytes) -> bytes:
    if verb == b"PING":
        return b"SPAMD/1.5 0 PONG\r\n"
    body = VERSION if verb == b"HEADERS" else b""  # an empty body means no test matched
    return SCORE % (len(body), body)


async def main(path: Path) -> None:
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(answer, path)
    path.chmod(0o600)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

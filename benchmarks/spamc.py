"""A stand-in for spamd that finds nothing: `python spamc.py SOCKET`.

SpamAssassin needs so much CPU for a mail that nothing else could be seen beside it. This speaks
its protocol (SPAMC/1.5: PING, SYMBOLS, HEADERS) and answers at once. For measuring only.
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
        if found := _LENGTH.search(head):
            await reader.readexactly(int(found[1]))
        writer.write(reply(head.split(b" ", 1)[0]))
        await writer.drain()
    writer.close()


def reply(verb: bytes) -> bytes:
    if verb == b"PING":
        return b"SPAMD/1.5 0 PONG\r\n"
    body = VERSION if verb == b"HEADERS" else b""  # no test hit, as spamd says it
    return SCORE % (len(body), body)


async def main(path: Path) -> None:
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(answer, path)
    path.chmod(0o600)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

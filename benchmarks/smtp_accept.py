"""Cost of accepting a mail: Postriver, stock aiosmtpd and Postfix under the same load.

`python -m benchmarks.smtp_accept [--rounds 3] [--sessions 20] [--seconds 4] [--kafka HOST:PORT]`.
Each round measures all servers, so that ratios are valid on a noisy machine. Postriver and stock
aiosmtpd publish to a broker that flushes each batch to disk before it responds (without `--kafka`:
to a null publisher). Postfix syncs its queue file, then drops the mail. The load generator is
another process and does not pipeline. CPU is user and system time of the processes of the server,
without the broker.
"""

import argparse
import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aiosmtpd.smtp
import uvloop

from benchmarks import postfix
from benchmarks.fixtures import Corpus, Mail
from benchmarks.load import flood, until
from benchmarks.processes import Meter
from benchmarks.stack import ROOT
from edge.trusted_networks import Networks
from mail.ids import new_id
from schemas.content import Inline, Stored
from schemas.directory import Domain, Owner, User
from schemas.events.mail import MailReceived
from schemas.mail import Envelope, Recipient
from smtp.server.config import SmtpConfig
from smtp.server.listener import SmtpServer
from stores.sqlite.content_store import SqliteContentStore
from streams.config import Bootstrap, PublisherConfig
from streams.publisher import KafkaPublisher

SIZES_BYTES = (4096, 65536)
HOSTNAME = "mx.bench.test"
WARM_UP_S = 0.5


class SingleUser:
    """Resolver and quota check for a single user with an unlimited mailbox."""

    def __init__(self) -> None:
        user = User(user_id="u1", domain_id="d1", address="", disabled=False, created_at_ms=0)
        domain = Domain(domain_id="d1", name="bench.test", created_at_ms=0)
        self._owners = (Owner(user=user, domain=domain),)

    async def resolve(self, _forward_path: str) -> tuple[Owner, ...]:
        return self._owners

    async def has_room(self, owners: Sequence[Owner], *, size_bytes: int) -> bool:
        return bool(owners) and size_bytes >= 0


class NullPublisher:
    async def publish(self, *_events: Any) -> None:
        await asyncio.sleep(0)


class NullContents:
    """Content store that stores nothing."""

    async def put(self, mail_id: str, content: bytes) -> Stored:
        await asyncio.sleep(0)
        return Stored(mail_id, len(content), "0" * 64)


class OpenGate:
    def closed(self) -> None:
        return None


class StockHandler:
    """The minimal handler of stock aiosmtpd that publishes the same event."""

    def __init__(self, publisher: Any, contents: Any) -> None:
        self._publisher = publisher
        self._contents = contents

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        mail_id = new_id()
        content = Inline(envelope.content)
        if content.size_bytes > 32 * 1024:
            content = await self._contents.put(mail_id, envelope.content)
        recipients = tuple(Recipient(path, "u1", "d1") for path in envelope.rcpt_tos)
        await self._publisher.publish(
            MailReceived(
                mail_id=mail_id,
                envelope=Envelope(reverse_path=envelope.mail_from, recipients=recipients),
                content=content,
                trace_size_bytes=0,
                received_at_ms=time.time_ns() // 1_000_000,
            )
        )
        return f"250 {mail_id}"


async def publisher_for(kafka: str) -> Any:
    if not kafka:
        return NullPublisher()
    publisher = KafkaPublisher(PublisherConfig(bootstrap=Bootstrap.parse(kafka)))
    await publisher.start()
    return publisher


async def _store(folder: Path) -> SqliteContentStore:
    return await SqliteContentStore.open(folder / "content.sqlite", folder / "content")


async def serve(name: str, kafka: str, content: Path) -> None:
    """Serve until killed. Prints the port as its first line; large mails go to `content`."""
    publisher = await publisher_for(kafka)
    contents = await _store(content) if kafka else NullContents()
    if name == "ours":
        config = SmtpConfig(hostname=HOSTNAME, port=0, trusted=Networks.parse("127.0.0.0/8"))
        single_user = SingleUser()
        server = SmtpServer(
            config,
            resolver=single_user,
            room=single_user,
            publisher=publisher,
            contents=contents,
            gate=OpenGate(),
        )
        await server.start()
        port = server.port
    else:
        aiosmtpd.smtp.log.setLevel("WARNING")
        loop, handler = asyncio.get_running_loop(), StockHandler(publisher, contents)

        def stock() -> Any:
            return aiosmtpd.smtp.SMTP(handler, hostname=HOSTNAME, enable_SMTPUTF8=True, loop=loop)

        listener = await loop.create_server(stock, "127.0.0.1", 0, backlog=1024)
        port = listener.sockets[0].getsockname()[1]
    print(port, flush=True)
    await asyncio.Event().wait()


@contextlib.contextmanager
def python_server(name: str, kafka: str) -> Iterator[tuple[int, int]]:
    """Run a server of this module for the length of the block; yields its port and pid."""
    command = [sys.executable, "-m", "benchmarks.smtp_accept", "--serve", name, "--kafka", kafka]
    with (
        tempfile.TemporaryDirectory(prefix="postriver-bench-") as content,
        subprocess.Popen(
            [*command, "--content", content], stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as server,
    ):
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline()), server.pid
        finally:
            server.kill()


def server(name: str, kafka: str) -> Any:
    return postfix.running() if name == "postfix" else python_server(name, kafka)


def measure(name: str, args: Any, mail: Mail, *, keep_open: bool) -> tuple[float, float]:
    """Return mails per second, and the CPU milliseconds of the server per mail."""
    with server(name, args.kafka) as (port, pid):
        uvloop.run(count_accepted(port, mail, args, keep_open=keep_open, seconds=WARM_UP_S))
        meter, began_s = Meter({name: pid}), time.monotonic()
        mails = uvloop.run(
            count_accepted(port, mail, args, keep_open=keep_open, seconds=args.seconds)
        )
        took_s = time.monotonic() - began_s
        return mails / took_s, meter.spent_ms()[name] / mails


async def count_accepted(
    port: int, mail: Mail, args: Any, *, keep_open: bool, seconds: float
) -> int:
    count = [0]

    def on_reply(_: Mail, __: bytes) -> None:
        count[0] += 1

    ends_s = time.monotonic() + seconds
    await flood(port, until(ends_s, mail), on_reply, keep_open=keep_open, sessions=args.sessions)
    return count[0]


def compare(args: Any) -> Iterator[dict[str, Any]]:
    """Iterate over one row for each size, kind of connection and server; medians of the rounds."""
    servers = ["ours", "aiosmtpd", *(["postfix"] if postfix.absent() is None else [])]
    corpus = Corpus(bodies=0)
    for size_bytes in SIZES_BYTES:
        mail = corpus.mail("someone@example.com", 0, size_bytes)
        for keep_open in (False, True):
            rounds = [
                {name: measure(name, args, mail, keep_open=keep_open) for name in servers}
                for _ in range(args.rounds)
            ]
            for name in servers:
                yield {
                    "server": name,
                    "size_bytes": size_bytes,
                    "connection": "kept" if keep_open else "new",
                    "per_s": round(statistics.median(result[name][0] for result in rounds)),
                    "cpu_ms": round(statistics.median(result[name][1] for result in rounds), 3),
                    "ours_by_this": round(
                        statistics.median(result["ours"][0] / result[name][0] for result in rounds),
                        2,
                    ),
                }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=("ours", "aiosmtpd"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--kafka", default="")
    parser.add_argument("--content", type=Path, default=Path())
    args = parser.parse_args()
    if args.serve:
        uvloop.run(serve(args.serve, args.kafka, args.content))
        return
    if (why := postfix.absent()) is not None:
        print(f"without Postfix: {why}")
    for row in compare(args):
        print(row, flush=True)


if __name__ == "__main__":
    main()

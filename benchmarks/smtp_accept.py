"""What accepting a mail costs: ours beside stock aiosmtpd, by the same load.

`python -m benchmarks.smtp_accept [--rounds 3] [--sessions 20] [--seconds 4]`, from the checkout's
root. Each server is a process of its own on uvloop, whose publisher acknowledges at once; the load
is one more process, which does not pipeline. Rounds alternate between servers; medians are printed.
CPU is user and system time of the server's process. `--kafka HOST:PORT` publishes to a broker.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from typing import Any

import aiosmtpd.smtp
import psutil
import uvloop

from ingress.config import SmtpConfig
from ingress.server import SmtpServer
from mail.ids import new_id
from schemas.content import Inline, Stored
from schemas.events import MailReceived
from schemas.mail import Envelope, Recipient
from streams.config import PublisherConfig
from streams.publisher import KafkaPublisher

SERVERS = ("ours", "stock")
SIZES_BYTES = (4096, 65536)
HOSTNAME = "mx.bench.test"


class Everybody:
    async def resolve(self, forward_path: str) -> Recipient:
        return Recipient(forward_path, "u1", "d1")


class AtOnce:
    async def publish(self, *_events: Any) -> None:
        await asyncio.sleep(0)


class Nowhere:
    """Content leaves with the reference: what the store costs is measured elsewhere."""

    async def put(self, mail_id: str, content: bytes) -> Stored:
        await asyncio.sleep(0)
        return Stored(mail_id, len(content), "0" * 64)


class Open:
    def closed(self) -> None:
        return None


class StockHandler:
    """The least that stock aiosmtpd has to do to publish the same."""

    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        mail_id = new_id()
        place = Inline(envelope.content)
        if place.size_bytes > 32 * 1024:
            place = await Nowhere().put(mail_id, envelope.content)
        recipients = tuple(Recipient(path, "u1", "d1") for path in envelope.rcpt_tos)
        await self._publisher.publish(
            MailReceived(
                mail_id=mail_id,
                envelope=Envelope(reverse_path=envelope.mail_from, recipients=recipients),
                content=place,
                trace_size_bytes=0,
                received_at_ms=time.time_ns() // 1_000_000,
            )
        )
        return f"250 {mail_id}"


async def publisher_for(kafka: str) -> Any:
    if not kafka:
        return AtOnce()
    publisher = KafkaPublisher(PublisherConfig(bootstrap=kafka))
    await publisher.start()
    return publisher


async def serve(name: str, kafka: str) -> None:
    """Serve until killed; the first line of output is the port."""
    publisher = await publisher_for(kafka)
    if name == "ours":
        config = SmtpConfig(hostname=HOSTNAME, port=0)
        server = SmtpServer(
            config, resolver=Everybody(), publisher=publisher, contents=Nowhere(), gate=Open()
        )
        await server.start()
        port = server.port
    else:
        aiosmtpd.smtp.log.setLevel("WARNING")
        loop, handler = asyncio.get_running_loop(), StockHandler(publisher)

        def stock() -> Any:
            return aiosmtpd.smtp.SMTP(handler, hostname=HOSTNAME, enable_SMTPUTF8=True, loop=loop)

        listener = await loop.create_server(stock, "127.0.0.1", 0, backlog=1024)
        port = listener.sockets[0].getsockname()[1]
    print(port, flush=True)
    await asyncio.Event().wait()


class Load(asyncio.Protocol):
    """One session, a reply at a time; a new connection for each mail unless `keep`."""

    def __init__(self, body: bytes, *, keep: bool, accepted: list[int], done: Any) -> None:
        self._steps = (
            b"EHLO load.example\r\n",
            b"MAIL FROM:<sender@example.org>\r\n",
            b"RCPT TO:<someone@example.com>\r\n",
            b"DATA\r\n",
            body,
            b"QUIT\r\n",
        )
        self._keep = keep
        self._accepted = accepted
        self._done = done
        self._replies = 0
        self._got = b""
        self.closed = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """One reply, whole, or nothing yet."""
        self._got += data
        last = self._got[self._got.rfind(b"\n", 0, -1) + 1 :]
        if not self._got.endswith(b"\n") or last[3:4] != b" ":
            return
        if last[:1] not in b"23":
            sys.exit(f"the server says {last.decode()}")
        self._got = b""
        self._replies += 1
        self._next()

    def _next(self) -> None:
        if self._replies == len(self._steps):
            self._accepted[0] += 1
            if self._keep and not self._done():
                self._replies = 2
        if self._replies <= len(self._steps):
            self._transport.write(self._steps[self._replies - 1])

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed.set()


async def session(port: int, body: bytes, *, keep: bool, accepted: list[int], done: Any) -> None:
    loop = asyncio.get_running_loop()
    while not done():
        protocol = Load(body, keep=keep, accepted=accepted, done=done)
        await loop.create_connection(lambda p=protocol: p, "127.0.0.1", port)
        await protocol.closed.wait()


async def load(port: int, *, size_bytes: int, keep: bool, sessions: int, seconds: float) -> float:
    """Mails per second."""
    line = b"All work and no play makes a river run dry, and then some more of it.\r\n"
    body = b"Subject: bench\r\n\r\n" + line * (size_bytes // len(line)) + b".\r\n"
    accepted, start_s = [0], time.perf_counter()

    def done() -> bool:
        return time.perf_counter() - start_s > seconds

    work = (session(port, body, keep=keep, accepted=accepted, done=done) for _ in range(sessions))
    await asyncio.gather(*work)
    return accepted[0] / (time.perf_counter() - start_s)


def measure(name: str, args: Any, *, size_bytes: int, keep: bool) -> tuple[float, float]:
    """Mails per second, and the server's CPU milliseconds per mail."""
    command = [sys.executable, "-m", "benchmarks.smtp_accept", "--serve", name]
    command += ["--kafka", args.kafka]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        process = psutil.Process(server.pid)
        shape = {"size_bytes": size_bytes, "keep": keep, "sessions": args.sessions}
        uvloop.run(load(port, **shape, seconds=0.5))
        before = process.cpu_times()
        start_s = time.perf_counter()
        rate = uvloop.run(load(port, **shape, seconds=args.seconds))
        mails = rate * (time.perf_counter() - start_s)
        after = process.cpu_times()
        cpu_s = after.user + after.system - before.user - before.system
        return rate, cpu_s * 1000 / mails
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=SERVERS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--kafka", default="")
    args = parser.parse_args()
    if args.serve:
        uvloop.run(serve(args.serve, args.kafka))
        return
    print("| server | size | connection | mails/s | CPU ms/mail |\n| --- | --- | --- | --- | --- |")
    for size_bytes in SIZES_BYTES:
        for keep in (False, True):
            rounds = [
                {name: measure(name, args, size_bytes=size_bytes, keep=keep) for name in SERVERS}
                for _ in range(args.rounds)
            ]
            for name in SERVERS:
                rate = statistics.median(each[name][0] for each in rounds)
                cpu_ms = statistics.median(each[name][1] for each in rounds)
                how = "kept" if keep else "new"
                print(f"| {name} | {size_bytes} | {how} | {rate:,.0f} | {cpu_ms:.3f} |", flush=True)


if __name__ == "__main__":
    main()

"""The outside of a benchmark: DNS of made-up domains, and smtp-sink of Postfix as MX hosts."""

import asyncio
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support import dns_server
from tests.support.in_thread import in_thread
from tests.support.peer_servers import LIBRARIES, install, sink_command

FAST, STUCK = "127.0.0.1", "127.0.0.2"  # addresses of the two MX hosts
DOMAINS = tuple(f"out{number}.test" for number in range(100))
STUCK_DOMAIN = "stuck.test"
ENDS_WITHIN_S = 20.0
_COUNTER_MAX_BYTES = 32
_COUNTERS = re.compile(rb"mesg=(\d+)")


@contextmanager
def dns() -> Iterator[int]:
    """Serve the MX records in a thread; yields the port."""
    with in_thread(dns_server.serving()) as names:
        names.ttl_s = 3600
        for domain in DOMAINS:
            names.add(domain, "mx.out.test", address=FAST)
        names.add(STUCK_DOMAIN, f"mx.{STUCK_DOMAIN}", address=STUCK)
        yield names.port


@dataclass(slots=True)
class Sink:
    """smtp-sink. `taken_s` has the times (perf_counter) at which it showed its counter."""

    pid: int
    taken: int = 0
    taken_s: list[tuple[int, float]] = field(default_factory=list)  # mails so far, time
    _rest: bytes = b""  # the end of what was read; a counter may go on in what comes next

    def read(self, octets: bytes) -> None:
        """Read what smtp-sink shows: its counters, over and over."""
        shown = _COUNTERS.findall(self._rest + octets)
        self._rest = (self._rest + octets)[-_COUNTER_MAX_BYTES:]
        if shown and int(shown[-1]) > self.taken:
            self.taken = int(shown[-1])
            self.taken_s.append((self.taken, time.perf_counter()))

    async def until(self, mails: int, *, within_s: float) -> float:
        """Wait until `mails` were answered with 250; return the time. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while self.taken < mails:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return next(at_s for taken, at_s in self.taken_s if taken >= mails)

    def first_s(self, after: int) -> float:
        """The time of the first mail after the first `after`."""
        return next(at_s for taken, at_s in self.taken_s if taken > after)


@contextmanager
def sink(address: str, port: int, *options: str) -> Iterator[Sink]:
    """Run smtp-sink at `address`:`port` for the length of the block."""
    install()
    with subprocess.Popen(
        sink_command(f"{address}:{port}", "-c", *options),
        env={"LD_LIBRARY_PATH": str(LIBRARIES)},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        running, stdout = Sink(process.pid), process.stdout

        def read() -> None:
            while octets := stdout.read(65536):
                running.read(octets)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            yield running
        finally:
            process.terminate()
            process.wait(ENDS_WITHIN_S)
            reader.join()

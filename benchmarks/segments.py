"""S3 requests of contents in segments, compared with one object a mail.

`python -m benchmarks.segments [--mails 4096] [--folder DIR]`, from the root of the checkout, with
the engines of `make test-distributed`. Starts one Cassandra node and one S3 server in DIR. The
server's access log has a line for each request, so what is counted is what a provider would count.
Mails are put, packed at once, and half of them read again, before and after. Of one object a mail,
a tenth as many are written.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop

from mail.ids import new_id
from stack.engines.versitygw import VersityGwConfig, keys, versitygw
from stack.state_folder import StateFolder
from stores.cassandra.content_store import CassandraContentStore
from stores.cassandra.migrations import migrate
from stores.cassandra.segments.packer import PackerConfig
from stores.cassandra.session import CassandraSession, ClusterConfig
from stores.s3.objects import ObjectsConfig, S3Objects, spread_key
from tests.support.broker import free_ports
from tests.support.cassandra import CassandraNode
from tests.support.versitygw import PROGRAM

SIZES = (4096, 61_440)
AT_ONCE = 32
START_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one size. Rates are mails a second of one process; times are medians."""

    size_bytes: int
    mails: int
    puts_per_s: float
    packed_per_s: float
    segments: int
    requests: int  # of S3, for all mails
    mails_per_request: float
    mails_per_request_one_object: float
    read_row_ms: float
    read_segment_ms: float


class RequestLog:
    """The access log of the S3 server."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0

    async def since(self) -> int:
        """Return the number of requests since the last call."""
        await asyncio.sleep(1)  # the server writes its log behind the answer
        lines = len(self._path.read_bytes().splitlines()) if self._path.exists() else 0
        found, self._seen = lines - self._seen, lines
        return found


@contextmanager
def logged_server(folder: Path) -> Iterator[tuple[ObjectsConfig, RequestLog]]:
    """Run an S3 server with an access log within the block."""
    home, (port,) = StateFolder(folder / "s3"), free_ports(1)
    program = versitygw(home, VersityGwConfig(program=PROGRAM, port=port))
    path = folder / "access.log"
    env = {**program.env, "VGW_ACCESS_LOG": str(path)}
    with subprocess.Popen(
        program.argv, env=env, cwd=program.cwd,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + START_LIMIT_S
            while trouble := asyncio.run(program.ready()):
                if time.monotonic() > deadline:
                    raise SystemExit(trouble)
                time.sleep(0.05)
            access_key, secret_key = keys(home)
            yield (
                ObjectsConfig(
                    endpoint=f"http://127.0.0.1:{port}",
                    access_key=access_key,
                    secret_key=secret_key,
                ),
                RequestLog(path),
            )
        finally:
            process.terminate()


async def measure(
    contents: CassandraContentStore, objects: S3Objects, requests: RequestLog, size: int, mails: int
) -> Figures:
    """Put, pack and read `mails` mails of `size` octets."""
    upkeep = contents.upkeep(packing=PackerConfig(age_min_ms=0, age_max_ms=0))
    bodies = {new_id(): os.urandom(size) for _ in range(mails)}
    sample = random.Random(size).sample(sorted(bodies), mails // 2)  # noqa: S311
    began_s = time.perf_counter()
    await _at_once(lambda mail_id: contents.put(mail_id, bodies[mail_id]), list(bodies))
    put_s = time.perf_counter() - began_s
    read_row_ms = await _read_ms(contents, bodies, sample)
    await requests.since()
    began_s = time.perf_counter()
    await upkeep.packer.turn()
    pack_s = time.perf_counter() - began_s
    for_segments = await requests.since()
    read_segment_ms = await _read_ms(contents, bodies, sample)
    await requests.since()
    few = list(bodies)[: mails // 10]
    await _at_once(lambda mail_id: objects.put(spread_key(f"one.{mail_id}"), bodies[mail_id]), few)
    for_objects = await requests.since()
    return Figures(
        size_bytes=size, mails=mails,
        puts_per_s=round(mails / put_s), packed_per_s=round(mails / pack_s),
        segments=upkeep.packer.segments, requests=for_segments,
        mails_per_request=round(mails / for_segments, 1),
        mails_per_request_one_object=round(len(few) / for_objects, 2),
        read_row_ms=read_row_ms, read_segment_ms=read_segment_ms,
    )  # fmt: skip


async def _read_ms(
    contents: CassandraContentStore, bodies: dict[str, bytes], sample: list[str]
) -> float:
    """Read the sample, one after the other; return the median time."""
    times = []
    for mail_id in sample:
        began_s = time.perf_counter()
        octets = await contents.get(mail_id)
        times.append(time.perf_counter() - began_s)
        if octets != bodies[mail_id]:
            raise SystemExit(f"{mail_id} is not what was put")
    return round(sorted(times)[len(times) // 2] * 1000, 2)


async def _at_once(call: Any, mail_ids: list[str]) -> None:
    for first in range(0, len(mail_ids), AT_ONCE):
        await asyncio.gather(*map(call, mail_ids[first : first + AT_ONCE]))


async def run(node: CassandraNode, s3: ObjectsConfig, log: RequestLog, mails: int) -> None:
    """Print the figures of each size as a line of JSON."""
    session = await CassandraSession.open(ClusterConfig(port=node.port))
    try:
        await migrate(session, CassandraContentStore.schemas)
        objects = S3Objects.open(s3)
        contents = CassandraContentStore(session, objects, spread_key)
        for size in SIZES:
            print(json.dumps(asdict(await measure(contents, objects, log, size, mails))))
    finally:
        await session.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=4096)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        (folder / "cassandra").mkdir()
        with CassandraNode(folder / "cassandra") as node, logged_server(folder) as (s3, log):
            uvloop.run(run(node, s3, log, arguments.mails))


if __name__ == "__main__":
    main()

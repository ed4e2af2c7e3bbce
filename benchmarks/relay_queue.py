"""A full relay queue, ours and Postfix's, to the last 250 of the same server.

`python -m benchmarks.relay_queue [--mails 20000]`. Ours is the role relay with its broker; the rows
and contents are written before it starts. Postfix takes the mails by SMTP and defers them before
its queue is released. Rates are from the first 250 to the last; CPU includes the start of ours.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from typing import Any

import uvloop

from benchmarks import end_to_end, fixtures, outside, postfix, sending
from benchmarks.load import flood
from benchmarks.processes import cpu_s
from benchmarks.seed import add_user
from benchmarks.stack import Stack, run_in_home, running, stack
from cli.config.config import Config
from cli.wiring.profile import adapters
from mail.clock import now_ms
from mail.ids import new_id
from operations.accounts import add_domain
from schemas.events.sending import MailRelay
from schemas.ids import MailId, SubmissionId
from schemas.submissions import RequestedRecipient
from stack.ports import free_port
from stack.state_folder import StateFolder
from streams.topology import PARTITIONS
from tests.support.far_domain import settings_to

SIZE_BYTES = 4096
AT_ONCE = 500
LIMIT_S = 900.0
FINAL_DOT = b".\r\n"


def mails(count: int) -> Iterator[fixtures.Mail]:
    corpus = fixtures.Corpus(bodies=0)
    for number in range(count):
        yield corpus.mail(sending.remote(number), number, SIZE_BYTES)


async def fill(config: Config, count: int) -> None:
    """Write `count` mails of one user and their rows."""
    async with adapters(config) as opened:
        directory = await opened.directory()
        domain = await add_domain(directory, fixtures.DOMAIN)
        await add_user(directory, domain.domain_id, 0)
        contents, queue = await opened.contents(), await opened.relay_queue()

        async def put(number: int, mail: fixtures.Mail) -> None:
            mail_id = MailId(new_id())
            content = await contents.put(mail_id, mail.data.removesuffix(FINAL_DOT))
            event = MailRelay(
                mail_id=mail_id, submission_id=SubmissionId(mail_id),
                user_id=fixtures.user_id(0), domain_id=domain.domain_id,
                destination=mail.recipient.partition("@")[2],
                reverse_path=fixtures.address(0), content=content,
                recipients=(RequestedRecipient(address=mail.recipient),),
                received_at_ms=now_ms(), queued_at_ms=now_ms(),
            )  # fmt: skip
            await queue.put(event, partition=number % PARTITIONS, at_ms=now_ms())

        made = list(enumerate(mails(count)))
        for first in range(0, count, AT_ONCE):
            await asyncio.gather(*(put(*each) for each in made[first : first + AT_ONCE]))


async def ours(stack_: Stack, sink: outside.Sink, count: int) -> dict[str, Any]:
    before = sink.taken
    stack_.run("benchmarks.relay_queue", "--fill", str(count))
    with running(stack_, "--only", "kafka,setup,relay"):
        row = await _row("ours", sink, before, count)
        row["cpu_ms"] = _cpu_ms(stack_.pids()["relay"], count)
    return row


async def postfixs(relay_port: int, sink: outside.Sink, count: int) -> dict[str, Any]:
    before = sink.taken
    with postfix.deferring(relay_port) as server:
        await flood(
            server.port, list(mails(count)), lambda *_: None, keep_open=True,
            sessions=end_to_end.SESSIONS,
        )  # fmt: skip
        async with asyncio.timeout(LIMIT_S):
            while postfix.deferred(server) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        spent_ms = _cpu_ms(server.pid, count)
        postfix.allow(server)
        async with asyncio.timeout(LIMIT_S):
            while sink.taken == before:
                await asyncio.to_thread(postfix.flush, server)
                await asyncio.sleep(1.0)
        row = await _row("postfix", sink, before, count)
        row["cpu_ms"] = round(_cpu_ms(server.pid, count) - spent_ms, 3)
    return row


async def _row(server: str, sink: outside.Sink, before: int, count: int) -> dict[str, Any]:
    last_s = await sink.until(before + count, within_s=LIMIT_S)
    took_s = last_s - sink.first_s(before)
    return {"server": server, "mails": count, "per_s": round(count / took_s)}


def _cpu_ms(pid: int, count: int) -> float:
    return round(cpu_s({"it": pid})["it"] * 1000 / count, 3)


def compare(count: int) -> list[dict[str, Any]]:
    """Return a row for each server: mails, per_s, cpu_ms and the ratio of ours to its rate."""
    relay_port = free_port()
    with (
        outside.sink(outside.FAST, relay_port) as sink,
        outside.dns() as dns_port,
        stack(settings_to(relay_port, dns_port)) as stack_,
    ):
        rows = [uvloop.run(ours(stack_, sink, count))]
        if postfix.absent() is None:
            rows.append(uvloop.run(postfixs(relay_port, sink, count)))
    return [{**row, "ours_by_this": round(rows[0]["per_s"] / row["per_s"], 2)} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=20_000)
    parser.add_argument("--fill", type=int, default=0, help="only fill the queue of a state folder")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def work(_: StateFolder, config: Config) -> None:
        uvloop.run(fill(config, options.fill))

    if options.fill:
        run_in_home(work)
        return
    for row in compare(options.mails):
        print(json.dumps(row))


if __name__ == "__main__":
    main()

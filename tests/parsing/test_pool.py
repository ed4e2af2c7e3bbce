"""ParserPool: results equal those of InProcessParser, and no mail harms the calling process."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mail.errors import ParserUnavailable
from mail.mime.outline.builder import bare_outline, outline_of
from mail.ports import Parser
from parsing.in_process import InProcessParser
from parsing.limits import ParserLimits
from parsing.pool import ParserPool
from schemas.mail import HeaderSummary
from tests.contracts.parser import ParserContract, with_attachment
from tests.support import ROOT
from tests.support.waiting import until

FAILING_CHILD = "tests.parsing.dying_child"


def limits(**more) -> ParserLimits:
    return ParserLimits(**{"in_process_max_bytes": 0, **more})


def mail(subject: str, *, size_bytes: int = 100) -> bytes:
    return f"Subject: {subject}\r\n\r\n".encode() + b"a" * size_bytes


class TestInProcessParser(ParserContract):
    @pytest.fixture
    async def parser(self) -> Parser:
        return InProcessParser()


class TestParserPool(ParserContract):
    @pytest.fixture
    async def parser(self) -> AsyncIterator[Parser]:
        pool = ParserPool(limits())
        yield pool
        await pool.close()


@pytest.fixture
async def make_pool() -> AsyncIterator:
    pools: list[ParserPool] = []

    def make(**more) -> ParserPool:
        pools.append(ParserPool(limits(**more), FAILING_CHILD))
        return pools[-1]

    yield make
    for pool in pools:
        await pool.close()


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("word", ["abort", "segfault", "raise", "spin", "sleep", "grow"])
async def test_a_mail_that_ends_its_child_is_shown_raw_and_others_as_ever(make_pool, word) -> None:
    pool = make_pool(cpu_s=1, elapsed_s=3.0, memory_bytes=256 * 1024 * 1024)
    bad, *good = await asyncio.gather(
        pool.head(mail(word)), *(pool.head(mail(f"good {n}")) for n in range(20))
    )
    assert bad.parse_failed
    assert (bad.subject, bad.preview) == (word, "a" * 100)
    assert [head.subject for head in good] == [f"good {n}" for n in range(20)]
    assert not any(head.parse_failed for head in good)


async def test_a_mail_that_cannot_even_be_shown_raw_is_empty(make_pool) -> None:
    pool = make_pool()
    assert await pool.head(mail("always-abort")) == HeaderSummary(parse_failed=True)
    assert (await pool.words(mail("always-abort"))).text == ""
    assert await pool.outline(mail("always-abort")) == bare_outline(len(mail("always-abort")))
    assert (await pool.outlined_head(mail("always-abort"))).head.parse_failed
    assert await pool.outline(mail("abort")) == outline_of(mail("abort"), raw=True)
    assert (await pool.shown(mail("always-abort"), text_max_chars=9)).head.parse_failed
    assert (await pool.head(mail("good"))).subject == "good"


async def test_a_mail_that_exceeded_the_limits_costs_them_once(make_pool) -> None:
    pool = make_pool(cpu_s=1)
    await pool.head(mail("spin"))
    began_s = time.process_time() + sum(os.times()[2:4])
    for _ in range(3):
        assert (await pool.words(mail("spin"))).text == "a" * 100
    await pool.close()
    assert time.process_time() + sum(os.times()[2:4]) - began_s < 2.5


async def test_one_kill_from_outside_does_not_count_against_the_mail(make_pool, tmp_path) -> None:
    pool, marker = make_pool(), tmp_path / "at-work"
    request = asyncio.create_task(pool.head(mail(f"wait:{marker}")))
    await until(lambda: marker.exists() and marker.read_text())
    first = int(marker.read_text())
    marker.write_text("")
    os.kill(first, signal.SIGKILL)
    await until(lambda: marker.read_text() not in ("", str(first)))
    marker.unlink()
    assert not (await request).parse_failed


async def test_no_more_children_than_allowed_and_none_left_behind(make_pool, tmp_path) -> None:
    pool = make_pool(children_max=2)
    markers = [tmp_path / str(n) for n in range(5)]
    requests = [asyncio.create_task(pool.head(mail(f"wait:{marker}"))) for marker in markers]
    await until(lambda: sum(marker.exists() for marker in markers) == 2)
    await asyncio.sleep(0.2)
    running = [marker for marker in markers if marker.exists()]
    assert len(running) == 2
    pids = [int(marker.read_text()) for marker in running]
    requests[-1].cancel()  # this request never had a child
    for _ in range(4):
        await until(lambda: any(marker.exists() for marker in markers))
        for marker in markers:
            marker.unlink(missing_ok=True)
        await asyncio.sleep(0.05)
        if all(task.done() for task in requests):
            break
    await asyncio.wait(requests, timeout=20)
    assert not any(task.result().parse_failed for task in requests[:-1])
    await pool.close()
    assert not any(is_running(pid) for pid in pids)


async def test_closing_ends_running_and_waiting_requests(make_pool) -> None:
    pool = make_pool(children_max=1)
    requests = [asyncio.create_task(pool.head(mail("sleep"))) for _ in range(3)]
    await until(lambda: pool._busy)
    await pool.close()
    ends = await asyncio.gather(*requests, return_exceptions=True)
    assert all(isinstance(end, ParserUnavailable | asyncio.CancelledError) for end in ends)
    with pytest.raises(ParserUnavailable):
        await pool.head(mail("good"))


async def test_an_idle_child_ends_and_is_replaced(make_pool) -> None:
    pool = make_pool(idle_s=0.1)
    await pool.head(mail("good"))
    (idle,) = pool._idle
    await until(lambda: not is_running(idle.pid))
    assert (await pool.head(mail("again"))).subject == "again"


async def test_a_child_that_has_grown_is_replaced(make_pool) -> None:
    pool = make_pool(retire_bytes=1)
    for n in range(3):
        assert (await pool.head(mail(f"good {n}"))).subject == f"good {n}"


async def test_a_child_that_cannot_start_makes_the_parser_unavailable(tmp_path) -> None:
    pool = ParserPool(limits(), "tests.parsing.no_such_module")
    with pytest.raises(ParserUnavailable):
        await pool.head(mail("good"))
    await pool.close()


async def test_a_child_has_no_descriptors_of_its_parent(make_pool, tmp_path) -> None:
    pool, secret = make_pool(), (tmp_path / "secret").open("w")
    os.set_inheritable(secret.fileno(), True)
    await pool.head(mail("good"))
    (child,) = pool._idle
    targets = {str(entry.readlink()) for entry in Path(f"/proc/{child.pid}/fd").iterdir()}
    secret.close()
    assert {target.partition(":")[0] for target in targets} == {"socket", "/dev/null"}


async def test_a_small_mail_is_parsed_in_another_process_on_request() -> None:
    pool = ParserPool(program=FAILING_CHILD)
    assert not (await pool.head(mail("abort"))).parse_failed
    assert (await pool.head(mail("abort"), isolated=True)).parse_failed
    await pool.close()


async def test_small_and_common_mail_needs_no_child() -> None:
    pool = ParserPool(program="tests.parsing.no_such_module")
    assert (await pool.head(mail("small", size_bytes=30_000))).subject == "small"
    for unusual in (b"\n--x" * 5_000, b"=?" * 5_000, b"<p>" * 5_000, b"a" * 40_000):
        with pytest.raises(ParserUnavailable):
            await pool.head(mail("big") + unusual)
    await pool.close()


async def test_a_mail_of_fifty_mebibytes(make_pool) -> None:
    content, octets = with_attachment(38_000_000)
    pool = make_pool()
    assert not (await pool.head(content)).parse_failed
    assert (await pool.attachment(content, 1))[1] == octets


def test_a_child_ends_with_its_parent(tmp_path) -> None:
    marker = tmp_path / "at-work"
    program = (
        "import asyncio; from parsing.pool import ParserPool;"
        "from parsing.limits import ParserLimits;"
        f"pool = ParserPool(ParserLimits(in_process_max_bytes=0), {FAILING_CHILD!r});"
        f"asyncio.run(pool.head({mail(f'sleep:{marker}')!r}))"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    asyncio.run(until(lambda: marker.exists() and marker.read_text()))
    parent.kill()
    parent.wait()
    asyncio.run(until(lambda: not is_running(int(marker.read_text()))))

"""Parsing in children: the same results, and no mail that harms the process which asks."""

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
from mail.ports import Parser
from parsing.in_process import InProcessParser
from parsing.limits import ParserLimits
from parsing.pool import ParserPool
from schemas.mail import HeaderSummary
from tests.contracts.parser import ParserContract, with_attachment
from tests.support import ROOT

DYING = "tests.parsing.dying_child"


def limits(**more) -> ParserLimits:
    return ParserLimits(**{"here_max_bytes": 0, **more})


def mail(subject: str, *, size_bytes: int = 100) -> bytes:
    return f"Subject: {subject}\r\n\r\n".encode() + b"a" * size_bytes


class TestParserHere(ParserContract):
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
async def made() -> AsyncIterator:
    pools: list[ParserPool] = []

    def make(**more) -> ParserPool:
        pools.append(ParserPool(limits(**more), DYING))
        return pools[-1]

    yield make
    for pool in pools:
        await pool.close()


async def until(condition, *, within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("word", ["abort", "segfault", "raise", "spin", "sleep", "grow"])
async def test_a_mail_that_ends_its_child_is_shown_raw_and_others_as_ever(made, word) -> None:
    pool = made(cpu_s=1, clock_s=3.0, memory_bytes=256 * 1024 * 1024)
    bad, *good = await asyncio.gather(
        pool.head(mail(word)), *(pool.head(mail(f"good {n}")) for n in range(20))
    )
    assert bad.parse_failed
    assert (bad.subject, bad.preview) == (word, "a" * 100)
    assert [head.subject for head in good] == [f"good {n}" for n in range(20)]
    assert not any(head.parse_failed for head in good)


async def test_a_mail_that_cannot_even_be_shown_raw_is_empty(made) -> None:
    pool = made()
    assert await pool.head(mail("always-abort")) == HeaderSummary(parse_failed=True)
    assert (await pool.words(mail("always-abort"))).text == ""
    assert (await pool.shown(mail("always-abort"), text_max_chars=9)).head.parse_failed
    assert (await pool.head(mail("good"))).subject == "good"


async def test_a_mail_that_was_beyond_the_limits_costs_them_once(made) -> None:
    pool = made(cpu_s=1)
    await pool.head(mail("spin"))
    began_s = time.process_time() + sum(os.times()[2:4])
    for _ in range(3):
        assert (await pool.words(mail("spin"))).text == "a" * 100
    await pool.close()
    assert time.process_time() + sum(os.times()[2:4]) - began_s < 2.5


async def test_one_kill_from_outside_is_not_blamed_on_the_mail(made, tmp_path) -> None:
    pool, sign = made(), tmp_path / "at-work"
    asked = asyncio.create_task(pool.head(mail(f"wait:{sign}")))
    await until(lambda: sign.exists() and sign.read_text())
    first = int(sign.read_text())
    sign.write_text("")
    os.kill(first, signal.SIGKILL)
    await until(lambda: sign.read_text() not in ("", str(first)))
    sign.unlink()
    assert not (await asked).parse_failed


async def test_no_more_children_than_allowed_and_none_left_behind(made, tmp_path) -> None:
    pool = made(children_max=2)
    signs = [tmp_path / str(n) for n in range(5)]
    asked = [asyncio.create_task(pool.head(mail(f"wait:{sign}"))) for sign in signs]
    await until(lambda: sum(sign.exists() for sign in signs) == 2)
    await asyncio.sleep(0.2)
    there = [sign for sign in signs if sign.exists()]
    assert len(there) == 2
    pids = [int(sign.read_text()) for sign in there]
    asked[-1].cancel()  # it never had a child
    for _ in range(4):
        await until(lambda: any(sign.exists() for sign in signs))
        for sign in signs:
            sign.unlink(missing_ok=True)
        await asyncio.sleep(0.05)
        if all(task.done() for task in asked):
            break
    await asyncio.wait(asked, timeout=20)
    assert not any(task.result().parse_failed for task in asked[:-1])
    await pool.close()
    assert not any(is_running(pid) for pid in pids)


async def test_closing_ends_what_runs_and_what_waits(made) -> None:
    pool = made(children_max=1)
    asked = [asyncio.create_task(pool.head(mail("sleep"))) for _ in range(3)]
    await until(lambda: pool._busy)
    await pool.close()
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(end, ParserUnavailable | asyncio.CancelledError) for end in ends)
    with pytest.raises(ParserUnavailable):
        await pool.head(mail("good"))


async def test_an_idle_child_ends_and_is_replaced(made) -> None:
    pool = made(idle_s=0.1)
    await pool.head(mail("good"))
    (idle,) = pool._idle
    await until(lambda: not is_running(idle.pid))
    assert (await pool.head(mail("again"))).subject == "again"


async def test_a_child_that_has_grown_is_replaced(made) -> None:
    pool = made(retire_bytes=1)
    for n in range(3):
        assert (await pool.head(mail(f"good {n}"))).subject == f"good {n}"


async def test_a_child_that_cannot_start_holds_and_blames_no_mail(tmp_path) -> None:
    pool = ParserPool(limits(), "tests.parsing.no_such_module")
    with pytest.raises(ParserUnavailable):
        await pool.head(mail("good"))
    await pool.close()


async def test_a_child_has_no_descriptors_of_its_parent(made, tmp_path) -> None:
    pool, secret = made(), (tmp_path / "secret").open("w")
    os.set_inheritable(secret.fileno(), True)
    await pool.head(mail("good"))
    (child,) = pool._idle
    there = {str(entry.readlink()) for entry in Path(f"/proc/{child.pid}/fd").iterdir()}
    secret.close()
    assert {one.partition(":")[0] for one in there} == {"socket", "/dev/null"}


async def test_a_small_mail_is_parsed_apart_where_that_is_asked_for() -> None:
    pool = ParserPool(program=DYING)
    assert not (await pool.head(mail("abort"))).parse_failed
    assert (await pool.head(mail("abort"), apart=True)).parse_failed
    await pool.close()


async def test_small_and_common_mail_needs_no_child() -> None:
    pool = ParserPool(program="tests.parsing.no_such_module")
    assert (await pool.head(mail("small", size_bytes=30_000))).subject == "small"
    for unusual in (b"\n--x" * 5_000, b"=?" * 5_000, b"<p>" * 5_000, b"a" * 40_000):
        with pytest.raises(ParserUnavailable):
            await pool.head(mail("big") + unusual)
    await pool.close()


async def test_a_mail_of_fifty_mebibytes(made) -> None:
    content, octets = with_attachment(38_000_000)
    pool = made()
    assert not (await pool.head(content)).parse_failed
    assert (await pool.attachment(content, 1))[1] == octets


def test_a_child_ends_with_its_parent(tmp_path) -> None:
    sign = tmp_path / "at-work"
    program = (
        "import asyncio; from parsing.pool import ParserPool;"
        "from parsing.limits import ParserLimits;"
        f"pool = ParserPool(ParserLimits(here_max_bytes=0), {DYING!r});"
        f"asyncio.run(pool.head({mail(f'sleep:{sign}')!r}))"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    asyncio.run(until(lambda: sign.exists() and sign.read_text()))
    parent.kill()
    parent.wait()
    asyncio.run(until(lambda: not is_running(int(sign.read_text()))))

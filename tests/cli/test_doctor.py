"""doctor: each fault is named with the command that corrects it, and no check can hang."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from cli.doctor import engines, hardware, runner, streams
from cli.doctor import state_folder as folder
from cli.doctor.finding import Finding, Level
from cli.doctor.hardware import GIB, MIB, Disk
from cli.doctor.settings import settings
from stack.engines.kafka import properties_path
from stack.engines.virus_signatures import Signatures
from stack.ports import ListenPort, free_port, listener
from stack.state_folder import claimed

POSTRIVER = Path(sys.executable).with_name("postriver")
HERE = Path("/here")
DAY_S = 86_400


def levels(findings: Iterable[Finding]) -> list[str]:
    return [finding.level.value for finding in findings]


def disk(**differs: int) -> Disk:
    usual = {"size_bytes": 100 * GIB, "free_bytes": 50 * GIB, "inodes": 1000, "inodes_free": 500}
    return Disk(**{**usual, **differs})


@pytest.mark.parametrize(
    ("findings", "level", "words"),
    [
        (hardware.processors(1), "note", "1"),
        (hardware.memory(8 * GIB, 5 * GIB), "ok", "8.0 GiB"),
        (hardware.memory(2 * GIB, 1 * GIB), "note", "2.0 GiB"),
        (hardware.memory(8 * GIB, 100 * MIB), "problem", "0.1 GiB available"),
        (hardware.open_files(resource.RLIM_INFINITY), "ok", "no limit"),
        (hardware.open_files(20_000), "note", "20000"),
        (hardware.open_files(1024), "problem", "1024"),
        (hardware.space(disk(), HERE), "ok", "51200 MiB"),
        (hardware.space(disk(free_bytes=GIB + MIB), HERE), "note", "below 1024 MiB"),
        (hardware.space(disk(free_bytes=GIB - MIB), HERE), "problem", "refused with 452"),
        (hardware.space(disk(size_bytes=GIB, free_bytes=200 * MIB), HERE), "ok", "of 1024 MiB"),
        (hardware.inodes(disk(inodes_free=10), HERE), "problem", "10 of 1000"),
        (hardware.inodes(disk(inodes=0, inodes_free=0), HERE), "ok", "no limit"),
        (hardware.syncing(0.001), "ok", "1.0 ms"),
        (hardware.syncing(0.2), "note", "200.0 ms"),
        (hardware.syncing(2.0), "problem", "2000.0 ms"),
        (hardware.syncing(0.000_001), "note", "0.0 ms"),
        (hardware.clock(1000.0, 999.0, synchronised=True), "ok", "synchronised"),
        (hardware.clock(9000.0, 1000.0, synchronised=True), "problem", "8000 s behind"),
        (hardware.clock(0.0, 1000.0, synchronised=False), "note", "synchronised"),
        (folder.certificate(None), "note", "no readable certificate"),
        (folder.certificate(90 * DAY_S, 0.0), "ok", "90 days"),
        (folder.certificate(20 * DAY_S, 0.0), "note", "ends in 20 days"),
        (folder.certificate(2 * DAY_S, 0.0), "problem", "ends in 2 days"),
        (folder.certificate(0.0, 3 * DAY_S), "problem", "ended 3 days ago"),
        (folder.backup(None), "note", "no backup"),
        (folder.backup(2.0 * DAY_S), "ok", "2 days old"),
        (folder.backup(9.0 * DAY_S), "note", "9 days old"),
        (settings({"POSTRIVER_HTP_PORT": "1"}), "note", "HTP_PORT is no setting"),
        (settings({"POSTRIVER_OLD": "1"}, {"POSTRIVER_OLD": "X"}), "note", "OLD is an old name"),
        (settings({"POSTRIVER_HTTP_PORT": "1"}), "ok", "1 set"),
    ],
)
def test_a_figure_is_judged(findings: list[Finding], level: str, words: str) -> None:
    (finding,) = findings
    assert (finding.level.value, words in finding.what) == (level, True), finding
    assert bool(finding.do) == (finding.level is not Level.OK)


def test_old_and_missing_signatures_say_how_to_have_fresh_ones() -> None:
    now_s = time.time()
    for kind, age_days, level in (
        ("official", 1, "ok"), ("official", 5, "note"), ("own", 30, "problem"),
        ("test", None, "note"),
    ):  # fmt: skip
        built_at_s = None if age_days is None else now_s - age_days * DAY_S
        found = Signatures(kind=kind, built_at_s=built_at_s)
        (finding,) = engines.virus_signatures(found, update=False)
        assert finding.level.value == level
        assert level == "ok" or "POSTRIVER_SIGNATURES=update" in finding.do
    (finding,) = engines.virus_signatures(Signatures(kind="test"), update=True)
    assert finding.level is Level.PROBLEM


def test_the_status_of_the_supervisor_is_judged(home_path: Path) -> None:
    row = {"name": "scan", "restarts": 4}
    held = {
        "stage": "scan", "topic": "mail.validated", "partition": 3, "offset": 120,
        "engine": "clamd", "since_ms": 0, "detail": "no answer",
    }  # fmt: skip
    status = {
        "state": "degraded", "reasons": {"clamd": "ended by SIGKILL"}, "processes": [row],
        "engines": [], "roles": [{"held": [held], "warnings": ["one mail is missing"]}],
    }  # fmt: skip
    with claimed(home_path) as home:
        broken, warned, restarts = streams.processes(status, home)
    assert (broken.level.value, "clamd: ended by" in broken.what) == ("problem", True)
    assert broken.do.endswith("/log/clamd.log")
    assert (warned.level.value, warned.what) == ("problem", "one mail is missing")
    assert "scan was restarted 4 times" in restarts.what
    assert levels(streams.held(status, at_ms=60_000)) == ["note"]
    assert "dead-letters park mail.validated@3-120" in streams.held(status, at_ms=0)[0].do
    assert levels(streams.held(status, at_ms=3_600_000)) == ["problem"]


def test_a_changed_configuration_is_named_by_its_line(home_path: Path) -> None:
    with claimed(home_path) as home:
        path = properties_path(home)
        path.write_text("a=1\nb=2\n")
        assert levels(engines._compare("x", path, {"a": "1", "b": "2"}, "=")) == ["ok"]
        (finding,) = engines._compare("x", path, {"a": "1", "b": "3"}, "=")
    assert "b is 2, expected 3" in finding.what
    assert "postriver up" in finding.do


async def test_a_check_that_hangs_or_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CHECK_LIMIT_S", 0.2)
    free = threading.Event()
    try:
        (hangs,) = await runner.bounded("disk", lambda: [free.wait()])
    finally:
        free.set()
    assert "no answer within" in hangs.what
    (breaks,) = await runner.bounded("disk", [].pop)
    assert "IndexError" in breaks.what
    assert [hangs.level, breaks.level] == [Level.PROBLEM, Level.PROBLEM]


@pytest.fixture
def home_path() -> Iterator[Path]:
    """A folder that the user of the service can reach too."""
    with tempfile.TemporaryDirectory(prefix="postriver-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "home"


def examined(home: Path, **env: str) -> tuple[int, dict[str, dict]]:
    """Return the exit code, and of each check the last finding that is not ok."""
    done = subprocess.run(
        [str(POSTRIVER), "doctor", "--json"], capture_output=True, text=True, check=False,
        env={**os.environ, "POSTRIVER_HOME": str(home), **env},
    )  # fmt: skip
    report = json.loads(done.stdout)
    findings = report["findings"]
    assert report["problems"] == sum(row["level"] == "problem" for row in findings)
    return done.returncode, {row["check"]: row for row in findings if row["level"] != "ok"}


def test_files_deleted_while_their_owner_is_checked_are_ignored(home_path: Path) -> None:
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            for number in range(50):
                (home_path / f"passing-{number}").touch()
                (home_path / f"passing-{number}").unlink()

    with claimed(home_path) as home:
        passing = threading.Thread(target=come_and_go)
        passing.start()
        try:
            levels = [row.level for _ in range(1_000) for row in folder.owned(home)]
        finally:
            ended.set()
            passing.join()
    assert set(levels) == {Level.OK}


def test_a_broken_machine_without_a_stack(home_path: Path) -> None:
    code, found = examined(home_path, POSTRIVER_PORT_BASE="27990", POSTRIVER_TOOLS="/none")
    assert code == 1
    assert "no Postriver state here yet" in found["state"]["what"]
    assert "no Kafka in /none" in found["kafka"]["what"]
    assert not home_path.exists(), "the doctor creates no file"
    with claimed(home_path):
        pass
    if os.geteuid() == 0:  # the doctor becomes the owner, as every command does
        for path in (home_path, *home_path.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")
    home_path.chmod(0o755)
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = str(taken.getsockname()[1])
        broken = {
            "POSTRIVER_HTTP_PORT": port,
            "POSTRIVER_PORT_BASE": "15000",  # free_port draws from 20,000 on
            "POSTRIVER_SMPT_PORT": "1",
            "POSTRIVER_TLS_CERT": "/none.pem",
            "POSTRIVER_TLS_KEY": "/none.key",
        }
        code, found = examined(home_path, **broken)
    assert code == 1
    assert found["permissions"]["do"] == f"chmod 700 {home_path.resolve()}"
    assert f"port {port} on 127.0.0.1 is taken by" in found["ports"]["what"]
    assert "POSTRIVER_SMTP_PORT" in found["settings"]["do"]
    assert "TEST SET ONLY" in found["signatures"]["what"]
    assert "/none.pem" in found["certificate"]["what"]


def test_a_bad_value_is_named_and_a_newer_state_refused(home_path: Path) -> None:
    code, found = examined(home_path, POSTRIVER_HTTP_PORT="none")
    assert (code, "POSTRIVER_HTTP_PORT" in found["settings"]["what"]) == (1, True)
    home_path.mkdir()
    (home_path / "version").write_text("99\n")
    code, found = examined(home_path)
    assert (code, "version 99" in found["state"]["what"]) == (1, True)


def test_every_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        assert (
            levels(hardware.ports([ListenPort("A", port), ListenPort("B", port)]))
            == ["problem"] * 2
        )
    assert levels(hardware.ports([ListenPort("A", port)])) == ["ok"]


def test_ports_that_a_service_manager_holds_for_us_are_no_problem() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        for setting, holder, level in (
            ("POSTRIVER_SMTP_PORT", "systemd", "ok"),
            ("POSTRIVER_SMTP_PORT", "exim4", "problem"),
            ("POSTRIVER_KAFKA_PORT", "systemd", "problem"),
        ):
            found = hardware.ports([ListenPort(setting, port)], lambda _, name=holder: name)
            assert levels(found)[:1] == [level]
        assert listener(port) == psutil.Process().name()
    assert listener(port) is None


def test_the_logs_last_segments_are_held_to_the_disk() -> None:
    def level(gib: int) -> str:
        (found,) = hardware.log_room(disk(size_bytes=gib * GIB))
        assert "3.8 GiB" in found.what
        return found.level.value

    assert [level(gib) for gib in (4, 8, 40)] == ["problem", "note", "ok"]

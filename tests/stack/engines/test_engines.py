"""The real engines, unprivileged, as `make run` starts them."""

import asyncio
import base64
import socket
import time
from pathlib import Path

import psutil
import pytest

from stack.engines.java import JavaMissing, find_java
from stack.engines.virus_signatures import EICAR_HEX
from stack.ports import free_port
from stack.state_folder import StateFolder
from stack.supervision.probes import KafkaProbe
from tests.stack.small_machine import KAFKA_LIB, Machine, alive, wait_until

pytestmark = pytest.mark.engines

HEAD = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


def attached(content: bytes) -> bytes:
    return (
        b"Return-Path: <a@example.org>\r\n"
        + HEAD
        + b"Content-Type: multipart/mixed; boundary=q\r\n\r\n"
        b"--q\r\nContent-Type: text/plain\r\n\r\nsee below\r\n"
        b"--q\r\nContent-Type: application/octet-stream; name=a.bin\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(content)
        + b"\r\n--q--\r\n"
    )


def ask(path: Path, question: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(path))
        connection.sendall(question)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def scanned(home: StateFolder, mail: bytes) -> bytes:
    chunks = [mail[at : at + 100_000] for at in range(0, len(mail), 100_000)]
    stream = b"".join(len(chunk).to_bytes(4, "big") + chunk for chunk in chunks)
    return ask(home.socket("clamd"), b"zINSTREAM\0" + stream + bytes(4))


def judged(home: StateFolder, mail: bytes) -> bytes:
    head = b"SYMBOLS SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % len(mail)
    return ask(home.socket("spamd"), head + mail)


@pytest.fixture
def home(machine: Machine) -> StateFolder:
    config = {"lib": str(KAFKA_LIB), "port": free_port(), "controller_port": free_port()}
    engines = [{"name": name, "kafka": config} for name in ("kafka", "clamd", "spamd")]
    machine.start(*engines, unprivileged=True)
    machine.wait_ready(timeout_s=90)
    return StateFolder(machine.home)


def test_engines_check_mail_survive_a_kill_and_leave_nothing(
    machine: Machine, home: StateFolder
) -> None:
    eicar = bytes.fromhex(EICAR_HEX)
    assert scanned(home, attached(eicar)) == b"stream: Eicar-Test-Signature.UNOFFICIAL FOUND\0"
    assert scanned(home, attached(b"harmless")) == b"stream: OK\0"
    assert scanned(home, attached(b"0123456789abcdef" * 2_000_000)) == b"stream: OK\0"
    assert b"GTUBE" in judged(home, HEAD + b"\r\n" + GTUBE + b"\r\n")
    assert b"GTUBE" not in judged(home, HEAD + b"\r\nlunch?\r\n")
    before = {name: machine.pid_of(name) for name in ("kafka", "clamd", "spamd")}
    cluster = (home.kafka / "log" / "meta.properties").read_text()
    wait_until(lambda: nothing_is_written(home.kafka / "log" / "__cluster_metadata-0"))
    asyncio.run(assert_silence_is_no_answer(machine))
    kill_each(machine, before)
    assert scanned(home, attached(eicar)).endswith(b"FOUND\0")
    assert (home.kafka / "log" / "meta.properties").read_text() == cluster
    after = {name: machine.pid_of(name) for name in before}
    machine.process.terminate()
    assert machine.process.wait(60) == 0
    assert not [pid for pid in (*before.values(), *after.values()) if alive(pid)]


def nothing_is_written(folder: Path, for_s: float = 1.5) -> bool:
    """An idle broker does not write to its disk."""
    before = [path.stat().st_size for path in folder.glob("*.log")]
    time.sleep(for_s)
    return before == [path.stat().st_size for path in folder.glob("*.log")]


async def assert_silence_is_no_answer(machine: Machine) -> None:
    """A frozen broker's port still accepts."""
    row = machine.row_of("kafka")
    probe = KafkaProbe(int(row["detail"].rpartition(":")[2]))
    assert await probe() is None
    broker = psutil.Process(row["pid"])
    broker.suspend()
    wait_until(lambda: broker.status() == psutil.STATUS_STOPPED)
    assert "no answer" in (await probe() or "")
    broker.resume()


def kill_each(machine: Machine, pids: dict[str, int | None]) -> None:
    for pid in pids.values():
        psutil.Process(pid).kill()
    wait_until(
        lambda: not {machine.pid_of(name) for name in pids} & {None, *pids.values()}, timeout_s=60
    )
    machine.wait_ready(timeout_s=90)


def test_an_old_java_is_refused_by_name(tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.touch()
    (tmp_path / "release").write_text('JAVA_VERSION="11.0.2"\n')
    with pytest.raises(JavaMissing, match="Java 11, Kafka needs 17"):
        find_java(tmp_path)
    with pytest.raises(JavaMissing, match="apt install"):
        find_java(tmp_path / "none")

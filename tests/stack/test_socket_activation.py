"""Sockets from a service manager: named, checked, and passed on to every life of a program."""

import asyncio
import fcntl
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from stack.socket_activation import BadHandover, handed_over, port_of
from stack.supervision.program import Program, ProgramKind
from stack.supervision.spawn import spawn
from tests.support import ROOT

ASK = """
import os, sys
from stack.socket_activation import handed_over
count, names, *sources = sys.argv[1:]
for number, source in enumerate(map(int, sources), 3):
    os.dup2(source, number)
print(handed_over({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count, "LISTEN_FDNAMES": names}))
"""


def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def asked(count: str, names: str, *sockets: socket.socket) -> str:
    """What a process finds that was started as systemd does it: descriptors from 3 on."""
    sources = [fcntl.fcntl(each.fileno(), fcntl.F_DUPFD, 20) for each in sockets]
    done = subprocess.run(
        [sys.executable, "-c", ASK, count, names, *map(str, sources)],
        cwd=ROOT, text=True, check=False, capture_output=True, pass_fds=sources,
    )  # fmt: skip
    for source in sources:
        os.close(source)
    return done.stdout + done.stderr


def test_sockets_are_found_by_name_and_may_be_several() -> None:
    with closing(listener()) as one, closing(listener()) as two, closing(listener()) as three:
        found = asked("3", "smtp:http:smtp", one, two, three)
    assert found == "{'smtp': (3, 5), 'http': (4,)}\n"


def test_what_does_not_fit_is_told() -> None:
    with closing(listener()) as one, closing(socket.socket()) as deaf:
        assert "BadHandover: LISTEN_FDS='2' does not fit" in asked("2", "smtp", one)
        assert "FileDescriptorName= is smtp or http" in asked("1", "imap", one)
        assert "no listening TCP socket" in asked("1", "smtp", deaf)
        assert port_of(one.fileno()) == one.getsockname()[1]
    with Path(os.devnull).open() as file, pytest.raises(BadHandover, match="no socket"):
        port_of(file.fileno())


def test_what_was_handed_to_another_process_is_not_ours() -> None:
    assert handed_over({"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "smtp"}) == {}
    assert handed_over({}) == {}


async def test_a_connection_waits_for_the_next_life() -> None:
    code = (
        "import socket, sys; s = socket.socket(fileno=int(sys.argv[1]));"
        "c, _ = s.accept(); c.sendall(b'hello'); c.close(); s.accept()"
    )
    with closing(listener()) as ours, Path(os.devnull).open("w") as output:
        descriptor = ours.fileno()
        program = Program(
            name="p", kind=ProgramKind.ROLE, argv=(sys.executable, "-c", code, str(descriptor)),
            descriptors=(descriptor,),
        )  # fmt: skip
        for _ in range(2):
            reader, writer = await asyncio.open_connection(*ours.getsockname())
            life = await spawn(program, output.fileno())
            assert await asyncio.wait_for(reader.read(), 20) == b"hello"
            writer.close()
            life.kill()
            await life.wait()

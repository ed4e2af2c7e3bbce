"""Two api and two ingress processes of one state folder share its ports, stores and broker."""

import asyncio
import os
import shutil
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import aiohttp
import pytest

from cli.config.config import load
from cli.programs import programs
from cli.wiring.store_files import prepare_stores
from mail.directory.passwords import hash_password
from schemas.directory import Domain, User
from stack.state_folder import StateFolder, claimed
from stack.supervision.http_probe import http_get
from stores.sqlite.directory.store import SqliteDirectory
from tests.support import ROOT
from tests.support.broker import Broker, free_ports, started
from tests.support.stack_world import folder_of
from tests.support.waiting import eventually

PROCESSES = ("api", "api-2", "ingress", "ingress-2")
ADDRESS, PASSWORD = "ann@postriver.test", "correct horse"
CONNECTIONS = 32  # the kernel spreads them: all to one of two processes has a chance of 2**-31


class Stack:
    """Role processes as the supervisor starts them, over one broker and one state folder."""

    def __init__(self, home: StateFolder, broker: Broker) -> None:
        self.smtp_port, self.http_port, controller_port = free_ports(3)
        self.home = home
        self.settings = {
            "POSTRIVER_HOME": str(home.path),
            "POSTRIVER_HOSTNAME": "mx.postriver.test",
            "POSTRIVER_SMTP_PORT": str(self.smtp_port),
            "POSTRIVER_HTTP_PORT": str(self.http_port),
            "POSTRIVER_KAFKA_PORT": str(broker.port),
            "POSTRIVER_CONTROLLER_PORT": str(controller_port),
            "POSTRIVER_INGRESS_PROCESSES": "2",
            "POSTRIVER_API_PROCESSES": "2",
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start the program `name` of the supervisor's list, with its log in a file."""
        config = load(self.settings)
        (program,) = (each for each in programs(config, self.home) if each.name == name)
        with (self.home.log / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                program.argv, env={**os.environ, **program.env}, cwd=ROOT, stdout=log, stderr=log
            )
        return self.running[name]

    def stop(self, name: str) -> int:
        """SIGTERM; the exit code."""
        process = self.running.pop(name)
        process.terminate()
        return process.wait(30)

    def log(self, name: str) -> str:
        return (self.home.log / f"{name}.log").read_text()[-3000:]

    def is_ready(self, name: str) -> bool:
        assert self.running[name].poll() is None, self.log(name)
        return asyncio.run(http_get(self.home.socket(name), "/readyz"))[0] == 200

    def metric(self, name: str, metric: str) -> float:
        """The sum of the samples of `metric` in the process `name`."""
        _, page = asyncio.run(http_get(self.home.socket(name), "/metrics"))
        lines = [line for line in page.decode().splitlines() if line.startswith(metric)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)


async def _add_user(home: StateFolder) -> None:
    await prepare_stores(home.path)
    directory = await SqliteDirectory.open(home.data / "directory.sqlite")

    def user(name: str, password_hash: str) -> User:
        return User(
            user_id=name, domain_id="d", address=f"{name}@postriver.test", disabled=False,
            created_at_ms=0, password_hash=password_hash,
        )  # fmt: skip

    domain = Domain(domain_id="d", name="postriver.test", created_at_ms=0)
    await directory.add_domain(domain, user("postmaster", ""))
    await directory.add_user(user("ann", hash_password(PASSWORD)))
    await directory.close()


def _give_away(home: StateFolder) -> None:
    """Root's processes become the owner of the state folder, who must not be root."""
    if os.geteuid() == 0:
        for path in (home.path, *home.path.rglob("*")):
            shutil.chown(path, "nobody")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with ExitStack() as closing:
        folder = closing.enter_context(folder_of("processes"))
        home = closing.enter_context(claimed(folder / "home"))
        asyncio.run(_add_user(home))
        stack = Stack(home, closing.enter_context(started(folder)))
        _give_away(home)
        assert stack.start("setup").wait(120) == 0, stack.log("setup")
        for name in PROCESSES:
            stack.start(name)
        try:
            for name in PROCESSES:
                eventually(lambda: stack.is_ready(name), what=f"{name} is ready")  # noqa: B023
            yield stack
        finally:
            for process in stack.running.values():
                process.kill()
                process.wait(20)


async def statuses(stack: Stack) -> list[int]:
    """A sign-in, then one request on each of many new connections."""
    url = f"http://127.0.0.1:{stack.http_port}"
    async with aiohttp.ClientSession() as client:
        body = {"address": ADDRESS, "password": PASSWORD}
        async with client.post(f"{url}/v1/login", json=body) as response:
            token = (await response.json())["token"]
    answers = []
    for _ in range(CONNECTIONS):
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as client,
            client.get(f"{url}/v1/me") as response,
        ):
            answers.append(response.status)
    return answers


def send(stack: Stack) -> None:
    with smtplib.SMTP("127.0.0.1", stack.smtp_port, "sender.example", timeout=30) as client:
        client.sendmail("a@sender.example", [ADDRESS], b"Subject: hi\r\n\r\nhello\r\n")


def test_processes_of_one_role_serve_at_once_and_end_alone(stack: Stack) -> None:
    assert asyncio.run(statuses(stack)) == [200] * CONNECTIONS, "a session is known to both"
    answered = [stack.metric(name, "postriver_http_requests_total") for name in ("api", "api-2")]
    assert min(answered) > 0, answered
    for _ in range(CONNECTIONS):
        send(stack)
    accepted = [
        stack.metric(name, "postriver_smtp_accepted_mails_total")
        for name in ("ingress", "ingress-2")
    ]
    assert sum(accepted) == CONNECTIONS
    assert min(accepted) > 0, accepted
    assert [stack.stop(name) for name in ("api-2", "ingress-2")] == [0, 0]
    assert asyncio.run(statuses(stack)) == [200] * CONNECTIONS
    send(stack)
    assert stack.is_ready("api")
    assert stack.is_ready("ingress")

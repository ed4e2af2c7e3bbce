"""A whole Postriver in a folder of its own, handled as an operator and a user would."""

import json
import os
import random
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cli.config.config import DEFAULT_PORTS, ENGINE_PORTS
from stack.secrets import known
from streams.config import Bootstrap
from tests.support.opensearch import free_http_port
from tests.support.waiting import eventually

POSTRIVER = Path(sys.executable).with_name("postriver")
T = TypeVar("T")
UNLIMITED_SENDING = {
    f"POSTRIVER_SEND_{what}_PER_{period}": "0"
    for what in ("MAILS", "RECIPIENTS")
    for period in ("MINUTE", "HOUR", "DAY")
}
PORTS = len(DEFAULT_PORTS) + len(ENGINE_PORTS)
PROFILE = os.environ.get("TEST_PROFILE", "embedded")


def free_port_base() -> int:
    """The first of PORTS neighbouring ports, all of them free."""
    for _ in range(200):
        base = random.SystemRandom().randrange(20_000, 32_000)
        try:
            for port in range(base, base + PORTS):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise AssertionError(f"no {PORTS} free ports in a row")


class Unwilling(OSError):
    """The edge answered with an error."""

    def __init__(self, code: int, body: bytes) -> None:
        super().__init__(f"{code}: {body[:300]!r}")
        self.code = code


@dataclass
class Client:
    """A signed-in user."""

    base: str
    token: str

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        answer = self.raw(method, path, body, **headers)
        return json.loads(answer) if answer else None

    def raw(self, method: str, path: str, body: object = None, **headers: str) -> bytes:
        """The body of the response; `headers` with _ for -. Raises Unwilling."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        request.add_header("Content-Type", "application/json")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            with error:  # its socket must not wait for the garbage collector
                raise Unwilling(error.code, error.read()) from None

    def folder(self, name: str) -> dict[str, Any]:
        folders = self.call("GET", "/v1/folders")["folders"]
        return next(one for one in folders if one["role"] == name)

    def messages(self, folder: str) -> list[dict[str, Any]]:
        """Every message of a folder, page by page."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.call("GET", f"/v1/folders/{folder}/messages?limit=500{cursor}")
            found += page["messages"]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    def message_of(self, mail_id: str, folder: str = "inbox") -> dict[str, Any] | None:
        found = [one for one in self.messages(folder) if one["mail_id"] == mail_id]
        assert len(found) <= 1, f"{mail_id} was delivered {len(found)} times"
        return self.call("GET", f"/v1/messages/{found[0]['id']}") if found else None


@dataclass
class World:
    """One home, one range of ports."""

    home: Path
    base: int
    extra: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = (str(POSTRIVER),)
    opensearch_port: int = field(default_factory=free_http_port)

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.base + 1}"

    @property
    def bootstrap(self) -> Bootstrap:
        """The broker, with every right."""
        return Bootstrap(f"127.0.0.1:{self.base + 3}", "setup", known(self.home, "setup") or "")

    @property
    def env(self) -> dict[str, str]:
        mine = {
            "POSTRIVER_HOME": str(self.home),
            "POSTRIVER_PORT_BASE": str(self.base),
            "POSTRIVER_PROFILE": PROFILE,
            "POSTRIVER_OPENSEARCH_PORT": str(self.opensearch_port),
            "POSTRIVER_SMTP_TRUSTED": "127.0.0.1/32",  # tests send more than a peer's share
        }
        return {**os.environ, **mine, **self.extra}

    def cli(
        self, *args: str, given: str | None = None, check: bool = True, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.program, *args], env=self.env, input=given, text=True, check=False,
            capture_output=True, timeout=timeout_s, cwd="/",
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def up(self) -> str:
        return self.cli("up", "--detach", timeout_s=500).stdout  # a busy machine takes minutes

    def down(self) -> None:
        self.cli("down")

    def status(self) -> dict[str, Any]:
        return json.loads(self.cli("status", "--json", check=False).stdout)

    def look(self) -> dict[str, Any]:
        """What the supervisor says on its port; `down` when it does not answer."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.base + 2}/status", timeout=5
            ) as page:
                return json.loads(page.read())
        except OSError:
            return {"state": "down", "processes": [], "engines": [], "roles": []}

    def pids(self) -> dict[str, int]:
        status = self.look()
        rows = status["processes"] + status["engines"]
        return {row["name"]: row["pid"] for row in rows if row["pid"]}

    def supervisor_pid(self) -> int:
        return int((self.home / "lock").read_text().split()[0])

    def add_user(self, address: str) -> Client:
        self.cli("user", "add", address, "--password-stdin", given=f"secret of {address}\n")
        return self.login(address)

    def login(self, address: str) -> Client:
        body = {"address": address, "password": f"secret of {address}"}
        return Client(self.http, Client(self.http, "").call("POST", "/v1/login", body)["token"])

    def smtp(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.base, "sender.example", timeout=60)

    def send(
        self,
        mail: bytes,
        *to: str,
        options: tuple[str, ...] = (),
        sender: str = "sender@sender.example",
    ) -> str:
        """Hand in `mail`; the id in the 250."""
        with self.smtp() as client:
            client.ehlo()
            assert client.mail(sender, options)[0] == 250
            for address in to:
                reply = client.rcpt(address)
                assert reply[0] == 250, reply
            code, text = client.data(mail)
        assert code == 250, (code, text)
        return next(word for word in text.decode().split() if word.count("-") == 4)

    def kill(self, name: str, signum: int = signal.SIGKILL) -> int:
        """A process that is just being started again is waited for."""
        pid = eventually(lambda: self.pids().get(name), what=f"{name} runs")
        os.kill(pid, signum)
        return pid

    @contextmanager
    def unstartable(self, name: str, config: Path) -> Iterator[None]:
        """`name` is killed and cannot start again within the block."""
        aside = config.with_suffix(".aside")
        config.rename(aside)
        try:
            self.kill(name)
            yield
        finally:
            aside.rename(config)


@contextmanager
def folder_of(what: str) -> Iterator[Path]:
    """A folder for state folders, removed afterwards."""
    top = Path(tempfile.mkdtemp(prefix=f"postriver-{what}-"))
    top.chmod(0o711)  # as root the stack runs as a user of its own
    try:
        yield top
    finally:
        shutil.rmtree(top, ignore_errors=True)


@contextmanager
def world(**extra: str) -> Iterator[World]:
    """A running Postriver, stopped and removed afterwards; its logs are shown when it fails."""
    with folder_of("e2e") as top, started(World(top / "home", free_port_base(), extra)) as mine:
        yield mine


@contextmanager
def started(mine: World) -> Iterator[World]:
    """`mine` runs within the block; its logs are shown when that fails."""
    try:
        mine.up()
        yield mine
    except BaseException:
        show_logs(mine.home)
        raise
    finally:
        mine.cli("down", check=False)


def show_logs(home: Path) -> None:
    for log in sorted((home / "log").glob("*.log")):
        tail = log.read_text(errors="replace").splitlines()[-25:]
        print(f"--- {log.name}", *tail, sep="\n")

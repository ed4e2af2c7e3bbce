"""Clients with raw SMTP and HTTP sockets, each with a loopback source address of its own."""

import base64
import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Self

from tests.support.stack_world import World

SMTP, SUBMISSION, SUBMISSIONS = 0, 5, 6  # ports in the range of a stack


def untrusted_tls() -> ssl.SSLContext:
    """TLS of a client that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class SmtpPeer:
    """One SMTP connection that sends lines unchanged."""

    def __init__(
        self,
        attacked: World,
        source: str = "127.0.0.1",
        *,
        port: int = 0,
        tls: bool = False,
        timeout_s: float = 60,
    ) -> None:
        """`port`: its number in the range of the stack. `tls`: from the first octet."""
        self.source = source
        self.socket = socket.create_connection(
            ("127.0.0.1", attacked.base + port), timeout_s, source_address=(source, 0)
        )
        if tls:
            self.socket = untrusted_tls().wrap_socket(self.socket)
        self._file = self.socket.makefile("rb")
        self.greeting = self.reply()

    def start_tls(self) -> str:
        """STARTTLS; return the reply."""
        reply = self.command("STARTTLS")
        self._file.close()
        self.socket = untrusted_tls().wrap_socket(self.socket)
        self._file = self.socket.makefile("rb")
        return reply

    def sign_in(self, address: str, password: str) -> str:
        credentials = base64.b64encode(f"\0{address}\0{password}".encode()).decode()
        return self.command(f"AUTH PLAIN {credentials}")

    def capabilities(self) -> str:
        """EHLO; return all lines of the reply."""
        self.socket.sendall(b"EHLO attacker.example\r\n")
        lines = [self._file.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(self._file.readline())
        return b"".join(lines).decode("latin-1")

    def reply(self) -> str:
        """Return the last line of a reply; "": the server closed the connection."""
        line = b""
        with contextlib.suppress(ConnectionError):
            while (line := self._file.readline()) and line[3:4] == b"-":
                pass
        return line.decode("latin-1").rstrip()

    def command(self, line: str) -> str:
        try:
            self.socket.sendall(line.encode() + b"\r\n")
        except ConnectionError:
            return ""
        return self.reply()

    def begin(self, *, to: str) -> str:
        """Send EHLO to DATA, and return the reply to DATA or the first refusal.

        The EHLO and sender domains are derived from the source address.
        """
        reply, domain = "", f"host-{self.source.replace('.', '-')}.example"
        for line in (f"EHLO {domain}", f"MAIL FROM:<a@{domain}>", f"RCPT TO:<{to}>", "DATA"):
            reply = self.command(line)
            if reply[:1] not in {"2", "3"}:
                break
        return reply

    def send(self, mail: bytes, *, to: str) -> str:
        reply = self.begin(to=to)
        if not reply.startswith("354"):
            return reply
        self.socket.sendall(mail.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        return self.reply()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def http_socket(
    attacked: World, source: str = "127.0.0.1", *, timeout_s: float = 60
) -> socket.socket:
    return socket.create_connection(
        ("127.0.0.1", attacked.base + 1), timeout_s, source_address=(source, 0)
    )


def http_request(
    attacked: World,
    method: str,
    path: str,
    *,
    headers: Sequence[tuple[str, str]] = (),
    body: object = None,
    source: str = "127.0.0.1",
    timeout_s: float = 60,
) -> tuple[int, bytes]:
    """Return status and body of one request on a new connection; (0, b""): connection refused."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close",
        "Content-Type: application/json", f"Content-Length: {len(data)}",
        *(f"{name}: {value}" for name, value in headers),
    ]  # fmt: skip
    try:
        with http_socket(attacked, source, timeout_s=timeout_s) as peer:
            peer.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
            response = b"".join(iter(lambda: peer.recv(65536), b""))
    except ConnectionError:
        return 0, b""
    head, _, content = response.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else 0), content


def login_status(attacked: World, address: str, password: str, source: str = "127.0.0.1") -> int:
    body = {"address": address, "password": password}
    return http_request(attacked, "POST", "/v1/login", body=body, source=source)[0]


@contextmanager
def connected(peers: Iterator[SmtpPeer]) -> Iterator[list[SmtpPeer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(peer) for peer in peers]


class Victim:
    """Calls `probe` repeatedly; `longest_s` is the longest time of a call."""

    def __init__(self, probe: Callable[[], object]) -> None:
        self.longest_s = 0.0
        self.probes = 0
        self._probe = probe
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.is_set():
            began_s = time.monotonic()
            self._probe()
            self.longest_s = max(self.longest_s, time.monotonic() - began_s)
            self.probes += 1
            self._ended.wait(0.05)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def run_concurrently(count: int, act: Callable[[int], object]) -> list[object]:
    """Run `act(0)` to `act(count - 1)` in threads, and return the results."""
    results: list[object] = [None] * count

    def run(number: int) -> None:
        results[number] = act(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results

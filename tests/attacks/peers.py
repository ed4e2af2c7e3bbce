"""Peers on the loopback network, known by their source addresses, that speak raw SMTP and HTTP."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Self

from tests.support.stack_world import World


class SmtpPeer:
    """One SMTP connection; each line goes out as it is given."""

    def __init__(
        self, attacked: World, source: str = "127.0.0.1", *, timeout_s: float = 60
    ) -> None:
        self.source = source
        self.socket = socket.create_connection(
            ("127.0.0.1", attacked.base), timeout_s, source_address=(source, 0)
        )
        self._file = self.socket.makefile("rb")
        self.greeting = self.reply()

    def reply(self) -> str:
        """The last line of a reply; "" when the server closed the connection."""
        line = b""
        with contextlib.suppress(ConnectionError):
            while (line := self._file.readline()) and line[3:4] == b"-":
                pass
        return line.decode("latin-1").rstrip()

    def say(self, line: str) -> str:
        try:
            self.socket.sendall(line.encode() + b"\r\n")
        except ConnectionError:
            return ""
        return self.reply()

    def begin(self, *, to: str) -> str:
        """EHLO up to DATA; the reply to DATA, or the first refusal. Each peer has a domain."""
        reply, domain = "", f"host-{self.source.replace('.', '-')}.example"
        for line in (f"EHLO {domain}", f"MAIL FROM:<a@{domain}>", f"RCPT TO:<{to}>", "DATA"):
            reply = self.say(line)
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
    """Status and body of one request on a connection of its own; (0, b"") when it is refused."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close",
        "Content-Type: application/json", f"Content-Length: {len(data)}",
        *(f"{name}: {value}" for name, value in headers),
    ]  # fmt: skip
    try:
        with http_socket(attacked, source, timeout_s=timeout_s) as peer:
            peer.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
            answer = b"".join(iter(lambda: peer.recv(65536), b""))
    except ConnectionError:
        return 0, b""
    head, _, content = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else 0), content


def login_status(attacked: World, address: str, password: str, source: str = "127.0.0.1") -> int:
    body = {"address": address, "password": password}
    return http_request(attacked, "POST", "/v1/login", body=body, source=source)[0]


@contextmanager
def all_of(peers: Iterator[SmtpPeer]) -> Iterator[list[SmtpPeer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(peer) for peer in peers]


class Victim:
    """Asks `look` again and again; `longest_s` is the longest time that an answer took."""

    def __init__(self, look: Callable[[], object]) -> None:
        self.longest_s = 0.0
        self.looks = 0
        self._look = look
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.is_set():
            began_s = time.monotonic()
            self._look()
            self.longest_s = max(self.longest_s, time.monotonic() - began_s)
            self.looks += 1
            self._ended.wait(0.05)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    """`act(0)` to `act(count - 1)`, each on a thread of its own; their results."""
    results: list[object] = [None] * count

    def run(number: int) -> None:
        results[number] = act(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results

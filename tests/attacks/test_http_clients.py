"""HTTP attacks of outsiders and users on CPU time, memory, connections and sign-ins."""

import asyncio
import base64
import contextlib
import json
import os
import socket
import time
from collections.abc import Sequence

import pytest

from edge.sign_in.login_limiter import ATTEMPTS_KEPT_MS, LoginAttempt, LoginLimiter, LoginLimits
from mail.ports import Attempts
from stack.state_folder import StateFolder
from stores.memory import MemoryDirectory
from stores.redis.attempts import RedisAttempts
from stores.redis.client import RedisClient, RedisConfig
from stores.sqlite.attempts import SqliteAttempts
from stores.sqlite.database_file import SqliteConfig
from tests.attacks.peers import Victim, http_request, http_socket, login_status, run_concurrently
from tests.attacks.test_mails import memory_bytes
from tests.support.stack_world import PROFILE, Client, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
ANN = "ann@postriver.test"
SECRET = f"secret of {ANN}"
ANSWER_MAX_S = 10.0


def healthz(attacked: World) -> int:
    return http_request(attacked, "GET", "/healthz", source="127.0.0.8")[0]


def test_no_header_takes_the_time_of_others(attacked: World, ann: Client) -> None:
    """Two hundred requests; without the limits each takes a quarter of a second of CPU."""
    fields = [
        ("Accept-Encoding", "a" + " " * 7_900 + "x"),
        ("Accept-Encoding", "gzip;" * 1_500 + "q"),
        ("Cookie", "a=" + '"\\' * 3_900),
        ("Accept-Language", "a," * 3_900),
        ("If-None-Match", '"a",W/' * 1_300),
        ("X-Forwarded-For", "1.2.3.4 , " * 790),
        ("Range", "bytes=" + "0-," * 2_600),
    ]
    with Victim(lambda: healthz(attacked)) as victim:
        began_s = time.monotonic()
        for name, value in fields:
            run_concurrently(
                30,
                lambda _, field=(name, value): http_request(attacked, "GET", "/", headers=[field]),
            )
        took_s = time.monotonic() - began_s
    print(f"{len(fields) * 30} requests took {took_s:.1f} s")
    assert victim.longest_s < ANSWER_MAX_S
    assert victim.probes > 1


def test_responses_that_are_not_read_do_not_take_memory(attacked: World, ann: Client) -> None:
    text = b"Subject: wide\r\n\r\n" + (b"wide words " * 90 + b"\r\n") * 2_000
    mail_id = attacked.send(text, ANN)
    message = eventually(lambda: ann.message_of(mail_id) or ann.message_of(mail_id, "junk"))
    before = memory_bytes(attacked)
    request = (
        f"GET /v1/messages/{message['id']} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {ann.token}\r\n\r\n"
    ).encode()
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            peer = stack.enter_context(http_socket(attacked, "127.0.0.5"))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.sendall(request)
        grown = most_memory_bytes(attacked) - before
        print(f"grown by {grown / 1e6:.0f} MB")
        assert grown < 400_000_000
        assert healthz(attacked) == 200


def most_memory_bytes(attacked: World) -> int:
    """The memory of the largest process once it has not grown for two seconds."""
    most, grown_at_s = 0, time.monotonic()
    while time.monotonic() < grown_at_s + 2:
        if (now_bytes := memory_bytes(attacked)) > most + 1_000_000:
            most, grown_at_s = now_bytes, time.monotonic()
        time.sleep(0.1)
    return most


def test_strangers_do_not_lock_an_owner_out(attacked: World) -> None:
    """Two hundred wrong passwords from 20 peers; the owner can sign in from an address used before.

    Ten passwords are tried. The others are counted as an edge counts them, without their hashes.
    """
    eve, home = "eve@postriver.test", "127.0.1.1"
    attacked.cli("user", "add", eve, "--password-stdin", given="the right words\n")
    assert login_status(attacked, eve, "the right words", home) == 200
    tried = [login_status(attacked, eve, "wrong", "127.0.2.1") for _ in range(11)]
    assert tried == [401] * 10 + [429]
    asyncio.run(count_failures(attacked, eve, [f"127.0.2.{host}" for host in range(2, 21)]))
    assert login_status(attacked, eve, "the right words", "127.0.2.99") == 429
    assert login_status(attacked, eve, "the right words", home) == 200


async def count_failures(attacked: World, address: str, peers: Sequence[str]) -> None:
    """Count ten failures of each peer."""
    async with contextlib.AsyncExitStack() as stack:
        attempts = await attempts_of(attacked, stack)
        limiter = LoginLimiter(attempts, MemoryDirectory(), LoginLimits())
        for peer in peers:
            for _ in range(10):
                attempt = LoginAttempt(address=address, protocol="http", peer=peer)
                async with limiter.attempt(attempt) as result:
                    result.is_wrong = True


async def attempts_of(attacked: World, stack: contextlib.AsyncExitStack) -> Attempts:
    """The attempts that the edges share; `stack` closes them."""
    home = StateFolder(attacked.home)
    if PROFILE == "embedded":
        file = await SqliteAttempts.open(home.data / "attempts.sqlite", SqliteConfig(existing=True))
        stack.push_async_callback(file.close)
        return file
    config = RedisConfig(address=home.socket("redis"), timeout_s=60)  # a busy machine
    client = RedisClient.open(config)
    stack.push_async_callback(client.close)
    return RedisAttempts(client, kept_ms=ATTEMPTS_KEPT_MS)


def test_sign_ins_that_succeed_have_a_limit(attacked: World, ann: Client) -> None:
    codes = [login_status(attacked, ANN, SECRET, "127.0.3.1") for _ in range(40)]
    assert codes[0] == 200
    assert 429 in codes


def open_socket(attacked: World, source: str, token: str = "") -> tuple[int, socket.socket]:
    """Open a WebSocket; return the status of the handshake, and the socket."""
    peer = http_socket(attacked, source, timeout_s=20)
    key = base64.b64encode(os.urandom(16)).decode()
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    peer.sendall(
        f"GET /v1/push HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{authorization}\r\n".encode()
    )
    response = peer.recv(4096)
    return (int(response.split()[1]) if response else 0), peer


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A masked client frame (RFC 6455 §5.2) of fewer than 126 octets."""
    mask = os.urandom(4)
    masked = bytes(octet ^ mask[n % 4] for n, octet in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked


def test_one_peer_cannot_hold_the_places_of_sockets(attacked: World) -> None:
    opened = [open_socket(attacked, "127.0.4.1") for _ in range(220)]
    try:
        assert any(status == 101 for status, _ in opened)
        status, peer = open_socket(attacked, "127.0.4.2")
        peer.close()
        assert status == 101
    finally:
        for _, peer in opened:
            peer.close()


@pytest.mark.parametrize("opcode", [1, 9], ids=["message", "ping"])
def test_a_flood_of_pings_ends_its_socket(attacked: World, ann: Client, opcode: int) -> None:
    status, peer = open_socket(attacked, "127.0.5.1", ann.token)
    assert status == 101
    payload = json.dumps({"type": "ping"}).encode() if opcode == 1 else b"x"
    ended = False
    with contextlib.suppress(TimeoutError), peer:
        peer.settimeout(60)
        try:
            for _ in range(200):
                peer.sendall(frame(payload, opcode) * 200)
            while peer.recv(65536):
                pass
            ended = True
        except ConnectionError:
            ended = True
    assert ended
    assert healthz(attacked) == 200


def test_strangers_learn_nothing_of_the_machine(attacked: World) -> None:
    code, body = http_request(attacked, "GET", "/readyz")
    assert code in {200, 503}
    for word in (
        b"signature",
        b"TEST SET",
        b"disk",
        b"/",
        b"certificate",
        str(attacked.home).encode(),
    ):
        assert word not in body, body

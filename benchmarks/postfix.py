"""Postfix for comparison, as tests run it: unpacked in .tools/peers, on a free loopback port.

Postfix accepts mail as from the internet: it syncs the queue file before the `250`. An installed
Postfix of the machine is not read, written or stopped.
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.peer_servers import PEERS, PeerServer, environment_of, install, postfix

_OPEN = """
mydestination =
virtual_mailbox_domains =
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
disable_dns_lookups = yes
"""
_DISCARD = "default_transport = discard:\n"
_DEFERRED = "defer_transports = smtp\n"
_RELAY = """
default_transport = smtp:[127.0.0.1]:{port}
smtp_destination_concurrency_limit = 100
initial_destination_concurrency = 100
smtp_tls_security_level = none
qmgr_message_active_limit = 40000
minimal_backoff_time = 4000s
"""


def absent() -> str | None:
    """Return the reason why Postfix cannot run on this machine; None: it can."""
    return None if os.geteuid() == 0 else "left out: its master starts as root only"


@contextmanager
def running() -> Iterator[tuple[int, int]]:
    """Run a Postfix that drops mail; yields the port and the pid of its master."""
    with _postfix(_DISCARD) as server:
        yield server.port, server.pid


@contextmanager
def deferring(relay_port: int) -> Iterator[PeerServer]:
    """Run a Postfix that defers all mail for a server on the loopback, until `allow`."""
    with _postfix(_RELAY.format(port=relay_port) + _DEFERRED) as server:
        yield server


def allow(server: PeerServer) -> None:
    """Let `server` send from now on; what is deferred waits for `flush`."""
    main = server.folder / "conf" / "main.cf"
    main.write_text(main.read_text().replace(_DEFERRED, ""))
    os.kill(server.pid, signal.SIGHUP)  # read main.cf again


def flush(server: PeerServer) -> None:
    """Ask for attempts at all deferred mails; a queue manager that starts again may miss it."""
    subprocess.run(
        [str(PEERS / "usr" / "sbin" / "postqueue"), "-f"],
        env=os.environ | environment_of(server.folder), check=False, capture_output=True,
    )  # fmt: skip


def deferred(server: PeerServer) -> int:
    """The number of mails that wait in the queue."""
    return sum(1 for file in (server.folder / "queue" / "deferred").rglob("*") if file.is_file())


@contextmanager
def _postfix(main: str) -> Iterator[PeerServer]:
    install()
    with tempfile.TemporaryDirectory(prefix="postriver-peer-") as name:
        folder = Path(name) / "postfix"
        folder.mkdir()
        with postfix(folder, main=_OPEN + main) as server:
            yield server

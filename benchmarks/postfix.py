"""Postfix as a peer: Debian's own, in a folder of its own, on a free port of the loopback.

It takes mail as it would from the internet: queue file synced before the `250`, then thrown away
by discard(8). Nothing of the machine's own Postfix is read, written or stopped.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.ports import free_port

POSTFIX = Path("/usr/sbin/postfix")
SHARED = Path("/etc/postfix")  # what the package brings; only read
START_LIMIT_S = 20.0
_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/postfix.log
maillog_file_prefixes = {folder}
syslog_name = bench
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = peer.bench.test
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_tls_security_level = none
smtpd_client_connection_count_limit = 0
default_transport = discard:
relay_transport = discard:
"""


def absent() -> str | None:
    """Why there is no Postfix to compare with; None when there is."""
    if not POSTFIX.exists():
        return "not installed (apt install postfix)"
    if os.geteuid() != 0:
        return "its master starts as root only"
    return None


@contextmanager
def running() -> Iterator[tuple[int, int]]:
    """Port and pid of its master for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="postriver-peer-") as name:
        folder, port = Path(name), free_port()
        _configure(folder, port)
        command = [str(POSTFIX), "-c", str(folder / "etc"), "start-fg"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, **quiet) as process:
            master = _pid(folder)
            try:
                yield port, master
            finally:
                os.kill(master, signal.SIGTERM)
                process.wait(START_LIMIT_S)


def _configure(folder: Path, port: int) -> None:
    folder.chmod(0o755)
    for each in ("etc", "queue", "data", "log"):
        (folder / each).mkdir()
    shutil.chown(folder / "data", "postfix")
    for each in ("postfix-files", "dynamicmaps.cf"):
        shutil.copy(SHARED / each, folder / "etc")
    (folder / "etc" / "main.cf").write_text(_MAIN.format(folder=folder), encoding="ascii")
    services = (SHARED / "master.cf").read_text(encoding="utf-8").splitlines()
    master = "\n".join(_service(line, port) for line in services)
    (folder / "etc" / "master.cf").write_text(f"{master}\n", encoding="utf-8")


def _service(line: str, port: int) -> str:
    """A line of master.cf: SMTP on our port, and no chroot, which would want a copy of /etc."""
    fields = line.split()
    if line[:1] in {"#", " ", ""} or len(fields) < 8:
        return line
    if fields[:2] == ["smtp", "inet"]:
        fields[0] = f"127.0.0.1:{port}"
    fields[4] = "n"
    return " ".join(fields)


def _pid(folder: Path) -> int:
    file, ends_s = folder / "queue" / "pid" / "master.pid", time.monotonic() + START_LIMIT_S
    while time.monotonic() < ends_s:
        if file.exists() and (text := file.read_text(encoding="ascii").strip()):
            return int(text)
        time.sleep(0.05)
    raise TimeoutError("postfix did not start")

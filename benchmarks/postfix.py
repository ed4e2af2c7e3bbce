"""Postfix for comparison: the Debian package, in a separate folder, on a free loopback port.

Postfix accepts mail as from the internet: it syncs the queue file before the `250`, and discard(8)
then drops the mail. An installed Postfix of the machine is not read, written or stopped.
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
SHARED = Path("/etc/postfix")  # files of the package; only read
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
    """Return the reason why Postfix cannot run on this machine; None: it can."""
    if not POSTFIX.exists():
        return "not installed (apt install postfix)"
    if os.geteuid() != 0:
        return "its master starts as root only"
    return None


@contextmanager
def running() -> Iterator[tuple[int, int]]:
    """Run Postfix for the length of the block; yields the port and the pid of its master."""
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
    for name in ("etc", "queue", "data", "log"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    for name in ("postfix-files", "dynamicmaps.cf"):
        shutil.copy(SHARED / name, folder / "etc")
    (folder / "etc" / "main.cf").write_text(_MAIN.format(folder=folder), encoding="ascii")
    services = (SHARED / "master.cf").read_text(encoding="utf-8").splitlines()
    master = "\n".join(_service(line, port) for line in services)
    (folder / "etc" / "master.cf").write_text(f"{master}\n", encoding="utf-8")


def _service(line: str, port: int) -> str:
    """Return a line of master.cf with our SMTP port, and without chroot, which needs files."""
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

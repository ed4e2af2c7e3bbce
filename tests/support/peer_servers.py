"""Real mail servers on 127.0.0.1: Postfix, Exim and smtp-sink, unpacked in .tools/peers."""

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack.ports import free_port
from tests.support import ROOT

PEERS = ROOT / ".tools" / "peers"
LIBRARIES = PEERS / "usr" / "lib" / "postfix"
INSTALL = ". scripts/lib.sh; . scripts/packages.sh; . scripts/peers.sh; make_peers"
QUEUES = (
    "incoming active deferred bounce defer flush hold corrupt trace saved maildrop private public"
)
LISTENS_WITHIN_S = 20.0

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = {sbin}
daemon_directory = {daemons}
shlib_directory = {libraries}
mail_owner = nobody
setgid_group = operator
default_privs = daemon
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mx.there.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
smtpd_recipient_limit = 50
smtpd_client_restrictions =
smtpd_recipient_restrictions = inline:{{ {{later@there.test=450 4.2.1 later}} }},
    reject_unauth_destination
message_size_limit = 20000000
virtual_mailbox_domains = there.test
virtual_mailbox_maps = regexp:{{ {{/^(box|r[0-9]+)@/ box/}} }}
virtual_mailbox_limit = 0
virtual_mailbox_base = {folder}/mail
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
{more}
"""
TLS_CF = """
smtpd_tls_security_level = may
smtpd_tls_chain_files = {folder}/chain.pem
"""
MASTER_CF = """
{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
smtp unix - - n - - smtp
discard unix - - n - - discard
flush unix n - n 1000? 0 flush
pickup unix n - n 60 1 pickup
showq unix n - n - - showq
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
EXIM_CONF = """
primary_hostname = mx.there.test
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
exim_path = {program}
exim_user = Debian-exim
exim_group = Debian-exim
host_lookup =
rfc1413_hosts =
keep_environment = LD_PRELOAD : LD_LIBRARY_PATH : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
queue_only = true
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
tls_certificate = {folder}/chain.pem
acl_smtp_rcpt = recipients
acl_smtp_data = take
begin acl
recipients:
  defer local_parts = later
        message = try later
  accept domains = there.test
         local_parts = ^(box|r[0-9]+)\\$
  deny message = no such user
take:
  accept
"""


@dataclass(slots=True)
class PeerServer:
    port: int
    folder: Path
    pid: int = 0

    def mails(self) -> list[bytes]:
        """The octets of each delivered or queued mail, with the trace fields of the server."""
        maildir = sorted((self.folder / "mail").rglob("new/*"))
        spool = sorted((self.folder / "spool").rglob("input/*-D"))
        bodies = [path.read_bytes().split(b"\n", 1)[1] for path in spool]
        return [path.read_bytes() for path in maildir] + bodies

    def output(self) -> str:
        return (self.folder / "output").read_text() + self.log()

    def log(self) -> str:
        logs = [self.folder / "mail.log", self.folder / "log" / "mainlog"]
        return "".join(path.read_text() for path in logs if path.exists())


def install() -> None:
    """What `make test` does before; once for all pytest workers."""
    (ROOT / ".tools").mkdir(exist_ok=True)
    with (ROOT / ".tools" / "peers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["bash", "-euo", "pipefail", "-c", INSTALL], cwd=ROOT, check=True)


@contextlib.contextmanager
def running(command: list[str], server: PeerServer, **environment: str) -> Iterator[None]:
    """The process of `server`, once it listens. Raises AssertionError: it does not."""
    with (server.folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            cwd=server.folder,
            env=os.environ | environment,
            start_new_session=True,
        )
    server.pid = process.pid
    deadline = time.monotonic() + LISTENS_WITHIN_S
    while process.poll() is None and not answers(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        assert answers(server), f"exit status {process.poll()}; {server.output()}"
        yield
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(20)


def answers(server: PeerServer) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) == 0


@contextlib.contextmanager
def postfix(folder: Path, chain: Path | None = None, main: str = "") -> Iterator[PeerServer]:
    """Postfix that delivers into a Maildir, with TLS if there is a chain; `main` has the last word.

    Its master process must be root.
    """
    if os.geteuid() != 0:
        pytest.skip("Postfix starts as root only")
    server = PeerServer(free_port(), folder)
    for name in [
        "conf",
        "mail",
        "data",
        "queue/pid",
        *(f"queue/{each}" for each in QUEUES.split()),
    ]:
        (folder / name).mkdir(parents=True)
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    for above in folder.parents[: len(folder.parents) - 2]:
        above.chmod(above.stat().st_mode | 0o011)
    owned = [folder / "data", folder / "mail", *(folder / "queue").iterdir()]
    subprocess.run(["chown", "-R", "nobody", *owned], check=True)
    subprocess.run(["chown", "root", folder / "queue" / "pid"], check=True)
    for name in ("public", "maildrop"):
        shutil.chown(folder / "queue" / name, group="operator")
    if chain:
        shutil.copy(chain, folder / "chain.pem")
    values = {
        "more": (TLS_CF if chain else "").format(folder=folder) + main,
        "folder": folder, "sbin": PEERS / "usr" / "sbin", "libraries": LIBRARIES,
        "daemons": LIBRARIES / "sbin", "port": server.port,
    }  # fmt: skip
    (folder / "conf" / "main.cf").write_text(MAIN_CF.format(**values))
    (folder / "conf" / "master.cf").write_text(MASTER_CF.format(**values))
    command = [str(LIBRARIES / "sbin" / "master"), "-c", str(folder / "conf"), "-d"]
    with running(command, server, **environment_of(folder)):
        yield server


def environment_of(folder: Path) -> dict[str, str]:
    """The environment of Postfix's programs."""
    return {"MAIL_CONFIG": str(folder / "conf"), "LD_LIBRARY_PATH": str(LIBRARIES)}


@contextlib.contextmanager
def exim(folder: Path, chain: Path) -> Iterator[PeerServer]:
    """Exim that queues. Its compiled-in user is made up by nss_wrapper."""
    server = PeerServer(free_port(), folder)
    for name in ("spool", "log"):
        (folder / name).mkdir()
    shutil.copy(chain, folder / "chain.pem")
    uid, gid = os.geteuid() or 65534, os.getegid() or 65534
    program = PEERS / "usr" / "sbin" / "exim4"
    (folder / "passwd").write_text(f"root:x:0:0::/:/bin/sh\nDebian-exim:x:{uid}:{gid}::/:/bin/sh\n")
    (folder / "group").write_text(f"root:x:0:\nDebian-exim:x:{gid}:\n")
    (folder / "exim.conf").write_text(
        EXIM_CONF.format(folder=folder, port=server.port, program=program)
    )
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{uid}:{gid}", folder], check=True)
        shutil.chown(folder / "exim.conf", user="root", group="root")
        for above in folder.parents[: len(folder.parents) - 2]:
            above.chmod(above.stat().st_mode | 0o011)
    (wrapper,) = (PEERS / "usr" / "lib").rglob("libnss_wrapper.so")
    command = [str(program), "-C", str(folder / "exim.conf"), "-bdf"]
    environment = {
        "LD_PRELOAD": str(wrapper), "NSS_WRAPPER_PASSWD": str(folder / "passwd"),
        "NSS_WRAPPER_GROUP": str(folder / "group"),
        "LD_LIBRARY_PATH": str(wrapper.parent),
    }  # fmt: skip
    with running(command, server, **environment):
        yield server


@contextlib.contextmanager
def sink(folder: Path, *options: str) -> Iterator[PeerServer]:
    """smtp-sink of Postfix, with faults by `options`."""
    server = PeerServer(free_port(), folder)
    command = sink_command(f"127.0.0.1:{server.port}", *options)
    with running(command, server, LD_LIBRARY_PATH=str(LIBRARIES)):
        yield server


def sink_command(address: str, *options: str) -> list[str]:
    """The command line of smtp-sink at `address` (HOST:PORT)."""
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    return [str(PEERS / "usr" / "sbin" / "smtp-sink"), *user, *options, address, "100"]

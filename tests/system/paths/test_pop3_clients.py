"""POP3 with real clients: fetchmail, getmail6 and mpop fetch, keep and delete, each by its own way.

fetchmail uses STLS, getmail6 TLS from the first byte, mpop STLS and an application password.
"""

import poplib
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import mails
from tests.support.stack_world import Client, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
POP3, POP3S = 7, 8  # behind the base of the ports


def _fetchmail(folder: Path, world: World, user: str, password: str, keep: str) -> tuple[str, ...]:
    config = f"""\
        set idfile "{folder}/ids"
        set pidfile "{folder}/pid"
        poll 127.0.0.1 protocol POP3 port {world.base + POP3} uidl
            user "{user}" password "{password}" sslproto "TLS1.2+" no sslcertck
            {keep} mda "/bin/cat >>{folder}/mbox"
        """
    return ("fetchmail", "--nodetach", "-f", _written(folder / "fetchmailrc", config))


def _getmail(folder: Path, world: World, user: str, password: str, keep: str) -> tuple[str, ...]:
    """getmail 6.18 does not see a delivery that ends before it begins to wait: so `sleep`."""
    config = f"""\
        [retriever]
        type = SimplePOP3SSLRetriever
        server = 127.0.0.1
        port = {world.base + POP3S}
        username = {user}
        password = {password}
        [destination]
        type = MDA_external
        path = /bin/sh
        arguments = ("-c", "cat >>{folder}/mbox; sleep 1")
        allow_root_commands = true
        [options]
        read_all = false
        delete = {"false" if keep == "keep" else "true"}
        """
    rc = _written(folder / "getmailrc", config)
    return ("getmail", f"--getmaildir={folder}", f"--rcfile={rc}")


def _mpop(folder: Path, world: World, user: str, password: str, keep: str) -> tuple[str, ...]:
    config = f"""\
        account default
        host 127.0.0.1
        port {world.base + POP3}
        user {user}
        password {password}
        auth plain
        tls on
        tls_starttls on
        tls_certcheck off
        keep {"on" if keep == "keep" else "off"}
        uidls_file {folder}/ids
        delivery mbox {folder}/mbox
        """
    return ("mpop", f"--file={_written(folder / 'mpoprc', config)}")


def _written(path: Path, text: str) -> str:
    path.write_text(textwrap.dedent(text))
    path.chmod(0o600)
    return str(path)


def fetch(command: tuple[str, ...]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    nothing_new = command[0] == "fetchmail" and done.returncode == 1
    assert done.returncode == 0 or nothing_new, done.stdout + done.stderr


def subjects(folder: Path) -> list[str]:
    text = (folder / "mbox").read_text()
    return sorted(line for line in text.splitlines() if line.startswith("Subject: "))


def delivered(world: World, owner: Client, user: str, subject: str) -> str:
    """Send a mail and wait for it; the id of the message."""
    mail_id = world.send(mails.plain(subject), user)
    return str(eventually(lambda: owner.message_of(mail_id), what=mail_id)["id"])


@pytest.mark.parametrize(
    "command_of", [_fetchmail, _getmail, _mpop], ids=["fetchmail", "getmail", "mpop"]
)
def test_a_client_fetches_once_keeps_and_deletes(
    running: World, tmp_path: Path, command_of: Callable[..., tuple[str, ...]]
) -> None:
    user = f"{command_of.__name__[1:]}@postriver.test"
    owner, password = running.add_user(user), f"secret of {user}"
    if command_of is _mpop:
        body = {"name": "mpop", "scopes": ["read"], "password": password}
        password = owner.call("POST", "/v1/me/app-passwords", body)["password"]
    delivered(running, owner, user, "one")
    delivered(running, owner, user, "two")
    for _ in range(2):
        fetch(command_of(tmp_path, running, user, password, "keep"))
        assert subjects(tmp_path) == ["Subject: one", "Subject: two"]
    third = delivered(running, owner, user, "three")
    for _ in range(2):
        fetch(command_of(tmp_path, running, user, password, "nokeep"))
        assert subjects(tmp_path) == ["Subject: one", "Subject: three", "Subject: two"]
    assert third not in {message["id"] for message in owner.messages("inbox")}


def test_unique_ids_outlast_the_processes(running: World, ann: Client) -> None:
    delivered(running, ann, "ann@postriver.test", "stays")

    def uidl() -> Any:
        client = poplib.POP3("127.0.0.1", running.base + POP3, timeout=30)
        client.user("ann@postriver.test")
        client.pass_("secret of ann@postriver.test")
        lines = client.uidl()[1]
        client.quit()
        return lines

    before = uidl()
    pids = running.pids()
    for name in ("pop3", "mailbox"):
        running.kill(name)
    eventually(
        lambda: running.pids().get("pop3") not in {None, pids["pop3"]} and uidl(),
        what="pop3 runs again",
    )
    assert set(before) <= set(uidl())

"""Submission with real clients: a mail from alice is in bob's inbox and in alice's Sent, once.

Each client signs in by its own way: STARTTLS or TLS from the first byte, PLAIN or LOGIN, the
account's password or an application password.
"""

import smtplib
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.stack_world import Client, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
SUBMISSION, SUBMISSIONS = 5, 6  # behind the base of the ports
ALICE, BOB = "amy@postriver.test", "ben@postriver.test"
Send = Callable[[World, Path, str, str], None]  # world, folder, password, subject


@pytest.fixture(scope="module")
def alice(running: World) -> Client:
    return running.add_user(ALICE)


@pytest.fixture(scope="module")
def bob(running: World) -> Client:
    return running.add_user(BOB)


def untrusted() -> ssl.SSLContext:
    """The certificate of a test is self-signed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def text(subject: str) -> str:
    return f"From: Alice <{ALICE}>\nTo: {BOB}\nBcc: {BOB}\nSubject: {subject}\n\n.hello\n.\nend\n"


def run(*command: str, given: str | None = None) -> None:
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def by_smtplib(world: World, _: Path, password: str, subject: str) -> None:
    with smtplib.SMTP("127.0.0.1", world.base + SUBMISSION, timeout=60) as client:
        client.starttls(context=untrusted())
        client.login(ALICE, password)
        client.sendmail(ALICE, [BOB, BOB.upper()], text(subject), rcpt_options=["NOTIFY=NEVER"])


def by_smtplib_tls(world: World, _: Path, password: str, subject: str) -> None:
    port = world.base + SUBMISSIONS
    with smtplib.SMTP_SSL("127.0.0.1", port, timeout=60, context=untrusted()) as client:
        client.login(ALICE, password, initial_response_ok=False)
        client.sendmail(ALICE, [BOB], text(subject))


def by_swaks(world: World, _: Path, password: str, subject: str) -> None:
    server = f"127.0.0.1:{world.base + SUBMISSION}"
    run(
        "swaks", "--server", server, "--tls", "--auth", "LOGIN", "--auth-user", ALICE,
        "--auth-password", password, "--from", ALICE, "--to", BOB, "--h-Subject", subject,
    )  # fmt: skip


def by_msmtp(world: World, folder: Path, password: str, subject: str) -> None:
    rc = folder / "msmtprc"
    rc.write_text(
        f"account default\nhost 127.0.0.1\nport {world.base + SUBMISSIONS}\nauth plain\n"
        f"user {ALICE}\npassword {password}\ntls on\ntls_starttls off\ntls_certcheck off\n"
        f"from {ALICE}\n"
    )
    rc.chmod(0o600)
    run("msmtp", f"--file={rc}", "--read-recipients", given=text(subject))


def by_curl(world: World, folder: Path, password: str, subject: str) -> None:
    mail = folder / "mail"
    mail.write_bytes(text(subject).replace("\n", "\r\n").encode())
    run(
        "curl", "--silent", "--show-error", "--insecure",
        f"smtps://127.0.0.1:{world.base + SUBMISSIONS}/laptop.example", "--user",
        f"{ALICE}:{password}", "--mail-from", ALICE, "--mail-rcpt", BOB, "--upload-file", str(mail),
    )  # fmt: skip


def by_mutt(world: World, folder: Path, password: str, subject: str) -> None:
    rc = folder / "muttrc"
    certificate = world.home / "tls" / "cert.pem"
    rc.write_text(
        f'set smtp_url="smtp://{ALICE}@127.0.0.1:{world.base + SUBMISSION}/"\n'
        f'set smtp_pass="{password}"\nset from="{ALICE}"\nset realname="Alice"\n'
        f'set ssl_force_tls=yes\nset ssl_verify_host=no\nset certificate_file="{certificate}"\n'
        f'set ssl_starttls=yes\nset copy=no\nset folder="{folder}"\nset record=""\n'
    )
    run("mutt", "-n", "-F", str(rc), "-s", subject, BOB, given="hello\n")


@pytest.mark.parametrize(
    "send",
    [by_smtplib, by_smtplib_tls, by_swaks, by_msmtp, by_curl, by_mutt],
    ids=lambda send: send.__name__.removeprefix("by_"),
)
def test_a_mail_is_in_the_inbox_and_in_sent_once(
    running: World, tmp_path: Path, alice: Client, bob: Client, send: Send
) -> None:
    password = f"secret of {ALICE}"
    if send is by_msmtp:
        body = {"name": "msmtp", "scopes": ["send"], "password": password}
        password = alice.call("POST", "/v1/me/app-passwords", body)["password"]
    subject = f"sent {send.__name__}"
    send(running, tmp_path, password, subject)

    def found(owner: Client, folder: str) -> list[dict[str, object]]:
        return [one for one in owner.messages(folder) if one["subject"] == subject]

    eventually(lambda: found(bob, "inbox") and found(alice, "sent"), within_s=120, what=subject)
    assert len(found(bob, "inbox")) == len(found(alice, "sent")) == 1
    raw = bob.raw("GET", f"/v1/messages/{found(bob, 'inbox')[0]['id']}/raw")
    assert b"Bcc:" not in raw
    assert b"127.0.0.1" not in raw
    header = raw.partition(b"\r\n\r\n")[0].lower()
    assert header.count(b"\r\nmessage-id:") == header.count(b"\r\ndate:") == 1


def test_nobody_sends_as_another_or_without_a_password(running: World, alice: Client) -> None:
    with smtplib.SMTP("127.0.0.1", running.base + SUBMISSION, timeout=60) as client:
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.mail(ALICE)[0] == 530
        client.starttls(context=untrusted())
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(ALICE, "wrong")
        client.login(ALICE, f"secret of {ALICE}")
        assert client.mail(BOB)[0] == 550
        assert client.mail(ALICE)[0] == 250
        assert client.rcpt("nobody@postriver.test")[0] == 550
    with running.smtp() as client:
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.docmd("AUTH", "PLAIN")[0] == 502

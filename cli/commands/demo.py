"""postriver demo, postriver watch: show mail as it arrives, through the API of its owner."""

import asyncio
import json
import smtplib
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Any

import click

from cli.commands.demo_sending import demo_sending
from cli.config.config import Config
from cli.formatting import hop_lines
from cli.push_client import PushClient, live
from cli.stack_addresses import load_running
from mail.errors import Refused
from mail.ids import new_id, time_ms
from operations.accounts import FIRST_DOMAIN

DEMO_WAIT_S = 30.0


@click.command()
@click.option("--to", "address", default=f"alice@{FIRST_DOMAIN}", show_default=True)
@click.option("--timeout", "timeout_s", default=DEMO_WAIT_S, show_default=True, help="Seconds.")
@click.option("--send", "sends", is_flag=True, help="Send a mail as alice, to bob and beyond.")
def demo(*, address: str, timeout_s: float, sends: bool) -> None:
    """Send a mail by SMTP, wait for its push frame, print the frame and the hops."""
    config = load_running()
    asyncio.run(demo_sending(config, timeout_s) if sends else _demo(config, address, timeout_s))


@click.command()
@click.argument("address")
@click.option("--json", "as_json", is_flag=True, help="Print push frames, one a line.")
def watch(address: str, *, as_json: bool) -> None:
    """Show each change of ADDRESS's mailbox as it happens; Ctrl-C ends."""
    asyncio.run(_watch(load_running(), address, as_json=as_json))


async def _demo(config: Config, address: str, timeout_s: float) -> None:
    async with live(config, address) as mailbox:
        marker = new_id()
        started = time.monotonic()
        reply = await asyncio.to_thread(_send, config, address, marker)
        accepted = time.monotonic()
        click.echo(f"SMTP   {reply}")
        try:
            frame = await asyncio.wait_for(_frame_of(mailbox, marker), timeout_s)
        except TimeoutError:
            raise Refused(
                f"accepted, but not delivered after {timeout_s:g} s; the mail waits in the log: "
                f"postriver status, postriver trace {_mail_id(reply)}"
            ) from None
        pushed = time.monotonic()
        click.echo(f"push   {json.dumps(frame, ensure_ascii=False)}")
        message = await mailbox.message(frame["message"]["id"])
        click.echo("hops")
        click.echo("\n".join(hop_lines(message["hops"])))
        click.echo(
            f"accepted in {(accepted - started) * 1000:.0f} ms, on the owner's screen "
            f"{(pushed - accepted) * 1000:.0f} ms later; see it at {config.http_url}/"
        )


async def _frame_of(mailbox: PushClient, marker: str) -> dict[str, Any]:
    async for frame in mailbox.changes():
        if frame["change"] == "created" and marker in frame["message"]["subject"]:
            return frame
    raise Refused("the push socket was closed")


def _send(config: Config, address: str, marker: str) -> str:
    """Send the mail; return the server's reply to it. Raises Refused."""
    mail = EmailMessage()
    mail["From"] = "Postriver demo <demo@sender.example>"
    mail["To"] = address
    mail["Subject"] = f"A mail on its way ({marker})"
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{marker}@sender.example>"
    mail.set_content("It came by SMTP, was scanned twice, stored, indexed and pushed to you.\n")
    try:
        with _connect(config) as client:
            client.ehlo()
            _expect(client.mail("demo@sender.example"))
            _expect(client.rcpt(address))
            return _expect(client.data(mail.as_bytes(policy=SMTP_POLICY)))
    except OSError as error:
        raise Refused(f"SMTP at {config.bind}:{config.ports.smtp}: {error}") from error


def _connect(config: Config) -> smtplib.SMTP:
    """Connect to ingress; with a PROXY header where this host is a trusted proxy."""
    client = _ProxiedSmtp if config.bind in config.smtp_proxies else smtplib.SMTP
    return client(config.bind, config.ports.smtp, "sender.example", timeout=30)


class _ProxiedSmtp(smtplib.SMTP):
    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:  # nothing has been read yet
            self.send(b"PROXY UNKNOWN\r\n")
        return super().getreply()


def _expect(reply: tuple[int, bytes]) -> str:
    code, text = reply
    line = f"{code} {text.decode(errors='replace')}"
    if code != 250:
        raise Refused(f"SMTP reply: {line}")
    return line


def _mail_id(reply: str) -> str:
    """Return the mail id of a reply such as `250 2.0.0 ID accepted`."""
    for word in reply.split():
        try:
            time_ms(word)
        except ValueError:
            continue
        return word
    return "MAIL_ID"


async def _watch(config: Config, address: str, *, as_json: bool) -> None:
    async with live(config, address) as mailbox:
        click.echo(f"watching {mailbox.user.address}; Ctrl-C ends", err=True)
        async for frame in mailbox.changes():
            click.echo(json.dumps(frame, ensure_ascii=False) if as_json else _line(frame), nl=True)
    raise Refused("the push socket was closed")


def _line(frame: dict[str, Any]) -> str:
    message = frame["message"]
    counts = ", ".join(f"{row['id']} {row['unread']}/{row['total']}" for row in frame["folders"])
    sender = (message.get("from") or {}).get("address", "")
    head = f"{frame['seq']:>6} {frame['change']:<9}"
    return f"{head} {sender}  {message.get('subject', message['id'])}  [{counts}]"

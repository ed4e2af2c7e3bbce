"""postriver demo --send: the sending half, with another server played by the command itself."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import click

from cli.config.config import Config
from cli.formatting import hop_lines
from cli.push_client import PushClient, live
from cli.wiring.profile import adapters
from cli.wiring.sending import DnsTexts
from cli.wiring.service_key import service_key
from mail.errors import Refused
from mail.ids import new_id
from mail.ports import Directory
from mail.sending.dkim.keyring import DkimKeyrings
from mail.sending.dkim.verifier import signatures
from mail.sending.service_key import ServiceKey
from operations.accounts import FIRST_DOMAIN
from operations.domain_records import TextLookup
from resolving.demo_zone import DemoZone
from resolving.demo_zone import serving as serving_zone
from smtp.demo_host import DemoHost, DemoMail
from smtp.demo_host import serving as serving_mail

OUTSIDE = "demo.example"
PRIVILEGED_MAX = 1023
FINAL = frozenset({"sent", "partial", "failed", "canceled"})
POLL_S = 0.2
HOW = (
    "to see a mail leave for another server, start with POSTRIVER_RELAY=mx"
    " POSTRIVER_RESOLVER=127.0.0.1:5354 POSTRIVER_RELAY_PORT=2526"
    " POSTRIVER_OUTBOUND_ALLOW=127.0.0.0/8, and run this again"
)


async def demo_sending(config: Config, timeout_s: float) -> None:
    """Send a mail as alice to bob, and to another server if the settings lead to this machine.

    Raises Refused: a port is taken, or the mail did not arrive in time.
    """
    alice, bob = (f"{name}@{FIRST_DOMAIN}" for name in ("alice", "bob"))
    async with adapters(config) as opened:
        texts = await key_records(await opened.directory(), service_key(config))
    async with (
        other_server(config, texts) as other,
        live(config, alice) as sender,
        live(config, bob) as receiver,
    ):
        marker = new_id()
        try:
            await asyncio.wait_for(_steps(config, sender, receiver, other, marker), timeout_s)
        except TimeoutError:
            raise Refused(
                f"the mail did not arrive within {timeout_s:g} s: postriver status"
            ) from None
    if other is None:
        click.echo(HOW)


async def _steps(
    config: Config,
    sender: PushClient,
    receiver: PushClient,
    other: DemoHost | None,
    marker: str,
) -> None:
    to = [receiver.user.address] + ([f"zoe@{OUTSIDE}"] if other else [])
    body = {
        "to": to,
        "subject": f"A mail that alice sends ({marker})",
        "text": "Written by alice, scanned twice, filed in Sent, on its way to you.",
        "undo_s": 0,
    }
    answer = await sender.post("/v1/messages", body, {"Idempotency-Key": marker})
    repeat = await sender.post("/v1/messages", body, {"Idempotency-Key": marker})
    click.echo(f"POST   {json.dumps(answer)}")
    click.echo(f"again  the same key, the same submission: {answer == repeat}")
    async for frame in receiver.changes():
        if marker in frame["message"].get("subject", ""):
            break
    click.echo(f"inbox  {receiver.user.address} has it")
    message = await receiver.message(frame["message"]["id"])
    click.echo("\n".join(hop_lines(message["hops"])))
    if other is not None:
        mail = await other.arrived.get()
        _show(mail)
        for line in await signature_lines(mail.content, DnsTexts(config)):
            click.echo(line)
    row = await _final(sender, answer["submission_id"])
    for recipient in row["recipients"]:
        server = f" by {recipient['server']}" if recipient["server"] else ""
        click.echo(f"status {recipient['address']}: {recipient['status']}{server}")
    click.echo(f"trace  postriver trace {answer['submission_id']}")


def _show(mail: DemoMail) -> None:
    """What the other server got."""
    click.echo(f"MX     mx.{OUTSIDE} got {len(mail.content)} octets")
    click.echo(f"  MAIL FROM:<{mail.reverse_path}>")
    for recipient in mail.recipients:
        click.echo(f"  RCPT TO:<{recipient}>")
    for line in mail.content.split(b"\r\n\r\n")[0].decode(errors="replace").split("\r\n"):
        click.echo(f"  {line}")


async def signature_lines(content: bytes, records: TextLookup) -> list[str]:
    """A line for each DKIM signature, checked with the key in DNS. Raises Refused: DNS fails."""
    lines = []
    for signature in signatures(content):
        (record, *_) = [*await records.texts(signature.record_name, "TXT"), None]
        fault = signature.fault_with(record)
        by = f"{signature.tags.get('a')} by {signature.record_name}"
        lines.append(f"DKIM   {by}: {fault or 'valid'}")
    return lines or ["DKIM   the mail is not signed"]


async def key_records(directory: Directory, key: ServiceKey) -> dict[str, str]:
    """The TXT records of the sender's domain, as an operator would publish them."""
    domain = await directory.domain(FIRST_DOMAIN)
    keys = await DkimKeyrings(directory, key).keys(domain) if domain else []
    return {each.record_name: " ".join(each.record_strings) for each in keys}


async def _final(sender: PushClient, submission_id: str) -> dict[str, Any]:
    while True:
        row = await sender.get(f"/v1/submissions/{submission_id}")
        if row["status"] in FINAL:
            return row
        await asyncio.sleep(POLL_S)


@asynccontextmanager
async def other_server(config: Config, texts: Mapping[str, str]) -> AsyncIterator[DemoHost | None]:
    """DNS and SMTP server of OUTSIDE, if the settings lead the relay to this machine.

    `texts`: TXT records that the DNS server has too. Raises Refused: a port is taken.
    """
    host, port = config.resolver_address
    is_here = config.relay == "mx" and host.startswith("127.") and port > PRIVILEGED_MAX
    if not is_here or config.relay_port <= PRIVILEGED_MAX:
        yield None
        return
    async with AsyncExitStack() as stack:
        try:
            zone = DemoZone(OUTSIDE, texts=texts)
            await stack.enter_async_context(serving_zone(zone, (host, port)))
            server = await stack.enter_async_context(
                serving_mail(f"mx.{OUTSIDE}", config.relay_port)
            )
        except OSError as error:
            raise Refused(f"the ports of the other server are taken: {error}") from error
        yield server

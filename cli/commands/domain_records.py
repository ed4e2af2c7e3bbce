"""postriver domain dns, postriver domain dkim: DNS records of a domain, and its keys."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence

import click

from cli.config.config import Config
from cli.stack_addresses import load_running
from cli.wiring.profile import adapters
from cli.wiring.sending import DnsTexts
from cli.wiring.service_key import service_key
from mail.sending.dkim.keyring import DkimKeyrings
from mail.sending.dkim.keys import SigningKey
from operations import accounts, domain_records
from schemas.directory import Domain

_Act = Callable[[DkimKeyrings, Domain], Awaitable[Sequence[SigningKey]]]


@click.command("dns")
@click.argument("name")
@click.option("--check", "is_check", is_flag=True, help="Compare with what DNS has; else exit 1.")
def domain_dns(name: str, *, is_check: bool) -> None:
    """Print the DNS records of NAME: MX, SPF, DKIM and DMARC, as lines of a zone file."""
    faults = asyncio.run(_dns(load_running(), name, is_check=is_check))
    sys.exit(1 if faults else 0)


@click.group("dkim")
def domain_dkim() -> None:
    """Keys with which mail of a domain is signed (RFC 6376)."""


@domain_dkim.command("rotate")
@click.argument("name")
def domain_dkim_rotate(name: str) -> None:
    """Make new keys for NAME and print their records; they sign from `dkim activate` on."""
    _print_keys(asyncio.run(_with_keyrings(name, domain_records.rotate_keys)))
    click.echo(f"publish these records, then: postriver domain dkim activate {name}")


@domain_dkim.command("activate")
@click.argument("name")
def domain_dkim_activate(name: str) -> None:
    """Sign mail of NAME with the keys of the last rotation. Keep the old records for a week."""
    _print_keys(asyncio.run(_with_keyrings(name, domain_records.activate_keys)))


async def _with_keyrings(name: str, act: _Act) -> Sequence[SigningKey]:
    config = load_running()
    async with adapters(config) as opened:
        directory = await opened.directory()
        domain = await accounts.get_domain(directory, name)
        return await act(DkimKeyrings(directory, service_key(config)), domain)


async def _dns(config: Config, name: str, *, is_check: bool) -> int:
    """Print the records; return the number of faults, 0 without a check."""
    async with adapters(config) as opened:
        directory = await opened.directory()
        domain = await accounts.get_domain(directory, name)
        keyrings = DkimKeyrings(directory, service_key(config))
        records = await domain_records.records_of(keyrings, domain, config.hostname)
    lookup, faults = DnsTexts(config), 0
    for record in records:
        click.echo(f"; {record.purpose}\n{record.zone_line}")
        if is_check:
            fault = await domain_records.fault_of(record, lookup)
            click.echo(f"; {'found' if fault is None else f'WRONG: {fault}'}")
            faults += fault is not None
    return faults


def _print_keys(keys: Sequence[SigningKey]) -> None:
    for key in keys:
        click.echo(f"{key.record_name}. IN TXT {' '.join(key.record_strings)}")

"""postriver doctor: what is wrong here, and what to type."""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

import click

from cli.commands.up_down_status import listening_ports
from cli.config.config import Config, given
from cli.config.setting_reader import BadSetting
from cli.doctor import hardware
from cli.doctor.finding import Finding, Level, problem
from cli.doctor.runner import round_of
from cli.doctor.settings import in_clear, settings
from cli.stack_addresses import load_running
from cli.wiring.profile import become_owner
from mail.errors import Refused
from stack.state_folder import lock_holder


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor(*, as_json: bool) -> None:
    """Look at machine, settings, engines and river; exit code 1 when something is wrong.

    Works with the stack up and down. Changes nothing.
    """
    found = [*settings(given()), *_round()]
    click.echo(_as_json(found) if as_json else _table(found))
    sys.exit(1 if any(each.level is Level.PROBLEM for each in found) else 0)


def _round() -> list[Finding]:
    try:
        config = load_running()
    except BadSetting as error:
        return [problem("settings", str(error), "correct it; the rest is looked at then")]
    found = [*in_clear(config), *_ports(config)]
    try:
        if config.home.exists():
            become_owner(config)
    except Refused as error:
        refused = problem("state", str(error), "make run, or set POSTRIVER_HOME")
        return [*found, *hardware.look_around(), refused]
    return [*found, *asyncio.run(round_of(config))]


def _ports(config: Config) -> list[Finding]:
    """Of a stack that is down; as whoever called us, since root may see who holds a port."""
    with suppress(PermissionError):
        if lock_holder(config.home) is None:
            return hardware.ports(listening_ports(config))
    return []


def _as_json(found: Sequence[Finding]) -> str:
    problems = sum(each.level is Level.PROBLEM for each in found)
    return json.dumps({"problems": problems, "findings": [asdict(each) for each in found]})


def _table(found: Sequence[Finding]) -> str:
    """Good news first, so that the rest stands where the eye ends."""
    order = list(Level)
    lines = []
    for each in sorted(found, key=lambda one: order.index(one.level)):
        lines.append(f"{each.level.value:<8} {each.check:<13} {each.what}")
        if each.do:
            lines.append(f"{'':<8} {'':<13} -> {each.do}")
    bad = sum(each.level is Level.PROBLEM for each in found)
    return "\n".join([*lines, f"{bad} problem{'' if bad == 1 else 's'}"])

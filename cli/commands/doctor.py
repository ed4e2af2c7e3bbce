"""postriver doctor: report what is wrong on this machine, with the command that corrects it."""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

import click

from cli.commands.up_down_status import listening_ports
from cli.config.config import Config, environment
from cli.config.setting_reader import BadSetting
from cli.doctor import hardware
from cli.doctor.finding import Finding, Level, problem
from cli.doctor.runner import run_checks
from cli.doctor.settings import in_clear, settings
from cli.stack_addresses import load_running
from cli.wiring.profile import become_owner
from mail.errors import Refused
from stack.state_folder import lock_holder


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(*, as_json: bool) -> None:
    """Check machine, settings, engines and streams; exit code 1 when there is a problem.

    Works with the stack up and down. Changes nothing.
    """
    findings = [*settings(environment()), *_findings()]
    click.echo(_as_json(findings) if as_json else _table(findings))
    sys.exit(1 if any(row.level is Level.PROBLEM for row in findings) else 0)


def _findings() -> list[Finding]:
    try:
        config = load_running()
    except BadSetting as error:
        return [problem("settings", str(error), "correct it; the other checks run then")]
    findings = [*in_clear(config), *_ports(config)]
    try:
        if config.home.exists():
            become_owner(config)
    except Refused as error:
        refused = problem("state", str(error), "make run, or set POSTRIVER_HOME")
        return [*findings, *hardware.machine(), refused]
    return [*findings, *asyncio.run(run_checks(config))]


def _ports(config: Config) -> list[Finding]:
    """Check the ports of a stack that is down.

    As the calling user: root sees which process holds a port.
    """
    with suppress(PermissionError):
        if lock_holder(config.home) is None:
            return hardware.ports(listening_ports(config))
    return []


def _as_json(findings: Sequence[Finding]) -> str:
    problems = sum(row.level is Level.PROBLEM for row in findings)
    return json.dumps({"problems": problems, "findings": [asdict(row) for row in findings]})


def _table(findings: Sequence[Finding]) -> str:
    """Print problems last, so that they are at the end of the terminal output."""
    order = list(Level)
    lines = []
    for row in sorted(findings, key=lambda finding: order.index(finding.level)):
        lines.append(f"{row.level.value:<8} {row.check:<13} {row.what}")
        if row.do:
            lines.append(f"{'':<8} {'':<13} -> {row.do}")
    problems = sum(row.level is Level.PROBLEM for row in findings)
    return "\n".join([*lines, f"{problems} problem{'' if problems == 1 else 's'}"])

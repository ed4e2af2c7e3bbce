"""postriver migrate: bring files and engines of a state folder to the version of this program."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import click
import msgspec

from cli.config.config import Config
from cli.config.engines import CASSANDRA, KAFKA
from cli.formatting import change_line
from cli.migration import engines_of, migrate_engine, planned, while_away
from cli.stack_addresses import load_running
from cli.wiring import store_files
from mail.errors import PostriverError, Refused
from schemas.versions.change import SchemaChange
from stack.privileges import PrivilegeError, become
from stack.state_folder import (
    VERSION,
    AlreadyRunning,
    NoState,
    StateFolderError,
    claimed,
    existing,
    version_of,
)
from stack.supervision.client import read_settings

ENGINE_LIMIT_S = 10.0  # for an engine that does not answer
CLAIM_LIMIT_S = 300.0  # for another process that migrates the same folder
WITH_THE_STACK = "runs with the stack: the next postriver up does it"
AFTER_THE_DIRECTORY = "the directory, which has its version, must be migrated before"


@dataclass
class _Report:
    """What was done, or would be done; printed line by line unless `is_json`."""

    is_json: bool
    changes: list[SchemaChange] = field(default_factory=list)
    put_off: dict[str, str] = field(default_factory=dict)  # engine: why

    def add(self, changes: list[SchemaChange]) -> None:
        self.changes += changes
        for change in changes:
            self._print(change_line(change))
            for step in change.steps:
                self._print(f"{'':<11}{step}")

    def put_engine_off(self, engine: str, why: str) -> None:
        self.put_off[engine] = why
        self._print(f"{engine:<10} {why}")

    def end(self, *, dry_run: bool, error: str) -> None:
        if self.is_json:
            report: dict[str, Any] = {
                "dry_run": dry_run, "changes": msgspec.to_builtins(self.changes),
                "put_off": self.put_off, "error": error or None,
            }  # fmt: skip
            click.echo(json.dumps(report))
        elif not error:
            count = len(self.changes)
            done = f"{count} would be changed" if dry_run else f"{count} changed"
            click.echo(done if count else "nothing to do")

    def _print(self, line: str) -> None:
        if not self.is_json:
            click.echo(line)


@click.command()
@click.option("--dry-run", is_flag=True, help="Print what would be done; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def migrate(*, dry_run: bool, as_json: bool) -> None:
    """Bring files, tables, topics and indices to the version of this program; safe to repeat.

    Each start of a stack does the same. Files need a stopped stack. Engines that run with the
    stack are migrated while it runs, or by its next start.
    """
    config, report = load_running(), _Report(as_json)
    try:
        _migrate(config, report, dry_run=dry_run)
    except (PostriverError, StateFolderError, PrivilegeError) as error:
        report.end(dry_run=dry_run, error=str(error))
        raise Refused(str(error)) from error
    report.end(dry_run=dry_run, error="")


def _migrate(config: Config, report: _Report, *, dry_run: bool) -> None:
    config.check_external()
    if config.home.exists() or not dry_run:
        become(config.home)
    is_running = bool(read_settings(config.home))
    if dry_run:
        report.add(_planned_folder(config))
        report.add(store_files.planned(config.home, config.profile))
    elif is_running:
        _refuse_files(config)
    else:
        _claim(config, report)
    elsewhere = {name for name, _ in config.external()}
    for engine in engines_of(config):
        if is_running or engine in elsewhere:
            asyncio.run(_engine(config, engine, report, dry_run=dry_run, is_live=is_running))
        else:
            report.put_engine_off(engine, WITH_THE_STACK)


def _claim(config: Config, report: _Report) -> None:
    """Migrate the files while no stack can start; wait for another process that does it."""
    ends_s = time.monotonic() + CLAIM_LIMIT_S
    while True:
        folder = _planned_folder(config)
        try:
            with claimed(config.home):
                report.add(folder)
                report.add(asyncio.run(store_files.prepare(config.home, config.profile)))
                return
        except AlreadyRunning:
            if time.monotonic() > ends_s:
                raise
        if read_settings(config.home):
            _refuse_files(config)
            return
        time.sleep(0.2)


def _refuse_files(config: Config) -> None:
    """Raises Refused: a file must be migrated that processes of the running stack have open."""
    existing(config.home)
    if found := store_files.planned(config.home, config.profile):
        names = ", ".join(change.part for change in found)
        raise Refused(f"the stack runs, and {names} must be migrated: postriver down first")


def _planned_folder(config: Config) -> list[SchemaChange]:
    """The folder itself. Raises NewerState."""
    try:
        found = version_of(config.home)
        existing(config.home)
    except NoState:
        found = 0
    change = SchemaChange(engine="folder", part=str(config.home), found=found, version=VERSION)
    return [change] if found < VERSION else []


async def _engine(
    config: Config, engine: str, report: _Report, *, dry_run: bool, is_live: bool
) -> None:
    step = partial(migrate_engine, config, engine, is_live=is_live)
    if engine == KAFKA and CASSANDRA in report.put_off:
        report.put_engine_off(engine, AFTER_THE_DIRECTORY)
        return
    if dry_run:
        found = [each.found for each in report.changes if each.part.startswith("directory")]
        if engine == KAFKA and any(found):
            report.put_engine_off(engine, AFTER_THE_DIRECTORY)
            return
        step = partial(planned, config, engine, has_directory=not found)
    report.add(await while_away(step, limit_s=ENGINE_LIMIT_S))

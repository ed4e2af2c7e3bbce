"""postriver acts: what operators did through the admin API."""

import json

import click
import msgspec

from cli.commands.domains_and_users import with_directory
from mail.clock import rfc3339
from schemas.directory import OperatorAct

LIST_MAX = 10_000


@click.command()
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, LIST_MAX))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def acts(*, limit: int, as_json: bool) -> None:
    """Newest first: time, operator, client address, act, target, request, outcome."""
    rows = with_directory(lambda directory: directory.acts(limit=limit))
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(rows), ensure_ascii=False))
        return
    click.echo("\n".join(map(act_line, rows)) or "no operator has done anything")


def act_line(row: OperatorAct) -> str:
    what = " ".join(filter(None, (row.verb, row.target, row.detail)))
    outcome = row.outcome or "end not known"
    return f"{rfc3339(row.at_ms)}  {row.address} from {row.peer or '-'}  {what}: {outcome}"

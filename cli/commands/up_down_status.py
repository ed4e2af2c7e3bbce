"""postriver up, down, status: start, stop and show the stack of this machine."""

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import click

from cli.backup.manifest import PUT_BACK_CLUSTER
from cli.commands.late_users import LateUsers, Seed
from cli.config.config import Config, environment, load
from cli.config.exposure import refuse_in_clear
from cli.config.setting_reader import BadSetting
from cli.config.socket_activation import with_passed_sockets
from cli.doctor import external
from cli.doctor.finding import Level
from cli.doctor.settings import settings
from cli.programs import engine_makers, programs
from cli.roles.host_metrics import HostMetrics
from cli.stack_addresses import load_running, published_settings
from cli.start_refused import StartRefused
from cli.status_table import external_lines, status_table
from cli.wiring.certificates import certificate_of
from cli.wiring.profile import adapters
from cli.wiring.service_key import service_key
from cli.wiring.store_files import EMBEDDED, prepare
from mail.clock import now_ms
from mail.errors import Refused
from mail.sending.dkim.keyring import IN_USE, DkimKeyrings
from operations import accounts
from stack.engines.cassandra import CassandraMissing
from stack.engines.clamd import ClamdMissing
from stack.engines.freshclam import FreshclamMissing
from stack.engines.java import JavaMissing
from stack.engines.kafka import KafkaMissing
from stack.engines.opensearch import OpenSearchMissing
from stack.engines.redis import RedisMissing
from stack.engines.spamd import SpamdMissing
from stack.engines.versitygw import VersityGwMissing
from stack.log_format import formatter
from stack.ports import ListenPort, PortsTaken, check_ports
from stack.privileges import PrivilegeError, become
from stack.socket_activation import BadHandover
from stack.state_folder import (
    AlreadyRunning,
    NoState,
    StateFolder,
    StateFolderError,
    claimed,
    lock_holder,
)
from stack.supervision.client import (
    NotRunning,
    StartFailed,
    read_status,
    spawn_detached,
    stop,
    write_settings,
)
from stack.supervision.supervised_process import TaskRefused
from stack.supervision.supervisor import Supervisor
from stack.supervision.supervisor_log import supervisor_log

RESTORE_TIMEOUT_S = 24 * 3600.0  # of the first start after a restore, which fills the engines
START_TIMEOUT_S = {"embedded": 180.0, "distributed": 420.0}
START_TAKES = {"embedded": "about 20 s", "distributed": "about a minute"}
NOT_RUNNING = 3  # exit code of `status`, as LSB has it
START_FAILURES = (
    BadHandover, StateFolderError, PortsTaken, PrivilegeError, ClamdMissing, FreshclamMissing,
    SpamdMissing, KafkaMissing, JavaMissing, CassandraMissing, OpenSearchMissing, RedisMissing,
    VersityGwMissing,
)  # fmt: skip


@click.command()
@click.option("--detach", is_flag=True, help="Return when the stack is ready; leave it running.")
@click.option("--no-users", is_flag=True, help="Create no first domain and users.")
def up(*, detach: bool, no_users: bool) -> None:
    """Start engines and roles; in the foreground unless --detach."""
    config = load()
    try:
        config = with_passed_sockets(config)
        if (pid := lock_holder(config.home)) is not None:
            url = load_running().http_url
            click.echo(f"already running, pid {pid}; {url}/ — postriver status")
            return
        refuse_in_clear(config)
        check_ports(listening_ports(config))  # before `become`: root may see who holds a port
        become(config.home)
        config.check_external()
        seed = None if no_users else _seed
        _detached(config, seed) if detach else _foreground(config, seed)
    except AlreadyRunning as error:
        click.echo(f"already running, pid {error.pid}")
    except START_FAILURES as error:
        raise Refused(str(error)) from error


@click.command()
def down() -> None:
    """Stop engines and roles; no process is left."""
    config = load()
    try:
        if config.home.exists():
            become(config.home)
        was_running = stop(config.home)
    except NoState:
        was_running = False
    except (StateFolderError, PrivilegeError) as error:
        raise Refused(str(error)) from error
    click.echo("stopped" if was_running else "was not running")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(*, as_json: bool) -> None:
    """Show processes, held partitions and lag; exit code 3 when the stack is down."""
    config = load()
    try:
        report = read_status(config.home)
    except (NotRunning, StateFolderError) as error:
        report = {"state": "stopped", "processes": [], "engines": [], "roles": []}
        report |= HostMetrics(config, StateFolder(config.home)).facts()
        report["external"] = _external(config)
        text = "\n".join([str(error), *external_lines(report["external"])])
        click.echo(json.dumps(report) if as_json else text)
        sys.exit(NOT_RUNNING)
    report["external"] = _external(config)
    click.echo(json.dumps(report) if as_json else status_table(report))


def _external(config: Config) -> list[dict[str, str]]:
    """The engines that run elsewhere, for the running stack or else by the settings."""
    with suppress(BadSetting):
        config = load_running()
    return [asdict(each) for each in asyncio.run(external.states(config))]


def listening_ports(config: Config) -> list[ListenPort]:
    """Return the ports that `up` opens, without those with a passed socket."""
    public = {
        "POSTRIVER_SMTP_PORT": config.smtp_fds,
        "POSTRIVER_HTTP_PORT": config.http_fds,
        "POSTRIVER_SUBMISSION_PORT": config.submission_fds,
        "POSTRIVER_SUBMISSIONS_PORT": config.submissions_fds,
        "POSTRIVER_POP3_PORT": config.pop3_fds,
        "POSTRIVER_POP3S_PORT": config.pop3s_fds,
    }
    passed = {setting for setting, descriptors in public.items() if descriptors}
    return [
        ListenPort(setting, port, config.bind if setting in public else "127.0.0.1")
        for setting, port in config.all_ports().items()
        if setting not in passed
    ]


def starting_line(config: Config, home: StateFolder) -> str:
    """What a start begins with: the engines of this machine, and how long it takes."""
    engines = ", ".join(engine_makers(config, home))
    what = f"{engines}, then our own processes" if engines else "our own processes"
    return f"starting: {what}; {START_TAKES[config.profile]}"


def _foreground(config: Config, seed: Seed | None) -> None:
    with claimed(config.home) as home:
        click.echo(starting_line(config, home))
        write_settings(home, published_settings(config))
        certificate_of(config)  # a pair that cannot be used ends the start here
        users = asyncio.run(_prepare(config, seed))
        machine = HostMetrics(config, home)
        shown: list[bool] = []

        late_users = LateUsers(config, seed)

        async def greet() -> None:
            users.extend(await asyncio.to_thread(late_users.result))
            click.echo(_greeting(config, users))
            shown.append(True)

        supervisor = Supervisor(
            programs(config, home),
            home,
            ops=("127.0.0.1", config.ports.ops),
            warnings=machine.warnings,
            facts=machine.facts,
            measures=machine.measures,
            on_ready=greet,
        )
        try:
            with supervisor_log(home, formatter(config.log_format, "supervisor")), late_users:
                code = asyncio.run(supervisor.run())
        except TaskRefused as error:
            raise StartRefused(str(error)) from error
        finally:
            if users and not shown:  # the passwords are stored nowhere else
                click.echo(_passwords(users))
        sys.exit(code)


def _detached(config: Config, seed: Seed | None) -> None:
    """Start in the background. This process creates the first users: passwords reach no log."""
    with claimed(config.home):
        users = asyncio.run(_prepare(config, seed))
    argv = [sys.executable, "-P", "-m", "cli", "up", "--no-users"]
    with LateUsers(config, seed) as late_users:
        try:
            limit_s = START_TIMEOUT_S[config.profile]
            if (config.home / PUT_BACK_CLUSTER).exists():
                limit_s = RESTORE_TIMEOUT_S
            spawn_detached(argv, config.home, env=config.as_settings(), timeout_s=limit_s)
        except StartFailed as error:
            late_users.stop()
            users += late_users.result()
            shown = f"\n{_passwords(users)}" if users else ""
            if error.is_refused:
                raise StartRefused(f"{error}{shown}") from error
            raise Refused(f"did not start: {error}\nlogs: {config.home / 'log'}{shown}") from error
        users += late_users.result()
    click.echo(_greeting(config, users))


async def _prepare(config: Config, seed: Seed | None) -> list[accounts.CreatedUser]:
    """Make the stores, and the first users in them if they need no engine."""
    await prepare(config.home, config.profile)
    return await seed(config) if seed and config.profile == EMBEDDED else []


async def _seed(config: Config) -> list[accounts.CreatedUser]:
    """Create the first users, and the keys of their domain, as `domain add` does."""
    async with adapters(config) as opened:
        directory = await opened.directory()
        users = await accounts.seed(directory)
        if users:
            domain = await accounts.get_domain(directory, accounts.FIRST_DOMAIN)
            keyrings = DkimKeyrings(directory, service_key(config))
            await keyrings.add(domain, at_ms=now_ms(), state=IN_USE)
        return users


def _greeting(config: Config, users: list[accounts.CreatedUser]) -> str:
    ports = config.ports
    lines = [
        "ready",
        f"  web   {config.http_url}/",
        f"  smtp  {config.bind}:{ports.smtp}",
        f"  send  {config.bind}:{ports.submission} (STARTTLS), {ports.submissions} (TLS)",
        f"  pop3  {config.bind}:{ports.pop3} (STLS), {ports.pop3s} (TLS)",
        f"  ops   http://127.0.0.1:{ports.ops}/status /readyz /metrics",
    ]
    notes = HostMetrics(config, StateFolder(config.home)).warnings()
    notes += [
        f"{row.what}: {row.do}" for row in settings(environment()) if row.level is not Level.OK
    ]
    lines += [f"  note  {note}" for note in notes]
    if users:
        lines.append(_passwords(users))
    lines.append(f"next: {Path(sys.argv[0]).name if users else 'postriver'} demo")
    return "\n".join(lines)


def _passwords(users: list[accounts.CreatedUser]) -> str:
    rows = [f"  user  {user.address}  password {user.password}" for user in users]
    return "\n".join([*rows, "  shown once; change with: postriver user passwd ADDRESS"])

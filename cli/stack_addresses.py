"""Where the running stack of a state folder listens, for commands that talk to it.

A stack may have been started with other settings than those of the shell that a command runs in. It
writes its addresses into HOME/run; they count more than what the shell does not say, and what the
shell says otherwise is refused.
"""

from collections.abc import Mapping

from cli.config.config import DEFAULT_PORTS, PREFIX, Config, given, load
from cli.config.setting_reader import BadSetting
from stack.supervision.client import read_settings

ADDRESSES = ("BIND", "HTTPS", *(f"{name}_PORT" for name in DEFAULT_PORTS))
WITH_THEM = ("TLS_CERT", "TLS_KEY", "SMTP_PROXIES")  # to be believed, and to believe who answers


def told(config: Config) -> dict[str, str]:
    """What a stack of `config` writes down."""
    mine = config.as_settings()
    return {PREFIX + name: mine[PREFIX + name] for name in (*ADDRESSES, *WITH_THEM)}


def load_running(environ: Mapping[str, str] | None = None) -> Config:
    """The configuration, with the addresses of the stack that runs on its folder, if one does.

    BadSetting: a value that cannot be used, or an address that is not the running stack's.
    """
    environ = given() if environ is None else environ
    config = load(environ)
    running = read_settings(config.home)
    known = {name: running[name] for name in told(config) if name in running}
    for name in ADDRESSES:
        _check(config, environ, known, PREFIX + name)
    return load({**environ, **known}) if known else config


def _check(config: Config, environ: Mapping[str, str], known: Mapping[str, str], name: str) -> None:
    chosen = _chosen_by(name, environ)
    if chosen and name in known and known[name] != config.as_settings()[name]:
        wanted = (
            f"the stack that runs on {config.home} has {name}={known[name]}; "
            f"unset {chosen}, or start that stack again with it"
        )
        raise BadSetting(chosen, environ[chosen], wanted)


def _chosen_by(name: str, environ: Mapping[str, str]) -> str | None:
    """The variable that gave the setting `name` its value; None when it has its default."""
    base = f"{PREFIX}PORT_BASE"
    candidates = (name, base) if name.endswith("_PORT") else (name,)
    return next((each for each in candidates if environ.get(each, "").strip()), None)

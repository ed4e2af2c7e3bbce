"""Addresses of the running stack of a state folder, for commands that connect to it.

A stack may have been started with other settings than those of the shell that a command runs in. It
writes its addresses into HOME/run. A command uses them for settings that the shell does not set; a
setting of the shell that contradicts them is refused.
"""

from collections.abc import Mapping

from cli.config.config import (
    DEFAULT_PORTS,
    ENGINE_PORTS,
    OPENSEARCH_PORT,
    PREFIX,
    Config,
    environment,
    load,
)
from cli.config.engines import FORMS
from cli.config.setting_reader import BadSetting
from stack.supervision.client import read_settings

ADDRESSES = (
    "PROFILE", "BIND", "HTTPS", *(f"{name}_PORT" for name in DEFAULT_PORTS), *ENGINE_PORTS,
    OPENSEARCH_PORT, *map(str.upper, FORMS),
)  # fmt: skip
TRUST = (  # to verify the server, and to be trusted by it and by the engines
    "TLS_CERT", "TLS_KEY", "SMTP_PROXIES",
    *(f"{name.upper()}_PASSWORD_FILE" for name, form in FORMS.items() if form.user != "none"),
)  # fmt: skip


def published_settings(config: Config) -> dict[str, str]:
    """Return the settings that a stack with `config` writes into HOME/run."""
    settings = config.as_settings()
    return {PREFIX + name: settings[PREFIX + name] for name in (*ADDRESSES, *TRUST)}


def load_running(environ: Mapping[str, str] | None = None) -> Config:
    """Return the configuration, with the addresses of the stack that runs on its folder, if any.

    Raises BadSetting: a value cannot be used, or contradicts an address of the running stack.
    """
    environ = environment() if environ is None else environ
    config = load(environ)
    running = read_settings(config.home)
    published = {name: running[name] for name in published_settings(config) if name in running}
    for name in ADDRESSES:
        _check(config, environ, published, PREFIX + name)
    return load({**environ, **published}) if published else config


def _check(
    config: Config, environ: Mapping[str, str], published: Mapping[str, str], name: str
) -> None:
    """Raises BadSetting: `environ` sets `name` to another value than the running stack."""
    chosen = _variable_of(name, environ)
    if chosen and name in published and published[name] != config.as_settings()[name]:
        expected = (
            f"the stack that runs on {config.home} has {name}={published[name]}; "
            f"unset {chosen}, or start that stack again with it"
        )
        raise BadSetting(chosen, environ[chosen], expected)


def _variable_of(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the variable that sets `name`; None if the setting has its default."""
    base = f"{PREFIX}PORT_BASE"
    candidates = (name, base) if name.endswith("_PORT") else (name,)
    return next((variable for variable in candidates if environ.get(variable, "").strip()), None)

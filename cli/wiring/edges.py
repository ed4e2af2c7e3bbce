"""Parts that several servers of mail programs and peers build alike."""

from cli.config.config import Config
from cli.wiring.embedded import Adapters
from edge.sign_in.authenticator import (
    Authenticator,
    AuthenticatorConfig,
    SignInPorts,
    make_authenticator,
)
from mail.ports import Directory
from streams.readers.backlog_gate import GateConfig


async def authenticator_of(config: Config, opened: Adapters, directory: Directory) -> Authenticator:
    """The sign-in of mail programs."""
    return make_authenticator(
        SignInPorts(users=directory, app_passwords=directory, sign_ins=directory),
        await opened.attempts(),
        AuthenticatorConfig(cache_s=config.password_cache_s),
    )


def gate_config(config: Config) -> GateConfig:
    """When SMTP servers take no more mail."""
    return GateConfig(folder=config.home, backlog_max_mails=config.backlog_max_mails)

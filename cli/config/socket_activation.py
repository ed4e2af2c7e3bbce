"""Sockets of a service manager take the place of ports that we would open ourselves."""

from dataclasses import replace

from cli.config.config import Config, handed
from stack.socket_activation import BadHandover, port_of


def with_handed(config: Config) -> Config:
    """With what was handed to us, which must be where the settings say it is. BadHandover."""
    found = handed()
    for name, descriptors in found.items():
        wanted = getattr(config.ports, name)
        for port in map(port_of, descriptors):
            if port != wanted:
                setting = f"POSTRIVER_{name.upper()}_PORT"
                raise BadHandover(f"socket {name} is on port {port}: set {setting}={port}")
    return replace(
        config,
        smtp_fds=found.get("smtp", config.smtp_fds),
        http_fds=found.get("http", config.http_fds),
    )

"""Socket activation: use the listening sockets of a service manager instead of opening ports."""

from dataclasses import replace

from cli.config.config import Config, passed_sockets
from stack.socket_activation import BadHandover, port_of


def with_passed_sockets(config: Config) -> Config:
    """Return `config` with the passed sockets. Raises BadHandover: a socket is on another port."""
    sockets = passed_sockets()
    for name, descriptors in sockets.items():
        expected = getattr(config.ports, name)
        for port in map(port_of, descriptors):
            if port != expected:
                setting = f"POSTRIVER_{name.upper()}_PORT"
                raise BadHandover(f"socket {name} is on port {port}: set {setting}={port}")
    return replace(
        config,
        smtp_fds=sockets.get("smtp", config.smtp_fds),
        http_fds=sockets.get("http", config.http_fds),
        submission_fds=sockets.get("submission", config.submission_fds),
        submissions_fds=sockets.get("submissions", config.submissions_fds),
        pop3_fds=sockets.get("pop3", config.pop3_fds),
        pop3s_fds=sockets.get("pop3s", config.pop3s_fds),
    )

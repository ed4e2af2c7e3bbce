"""One Redis on a unix socket, with its data in HOME/engines/redis; for the distributed profile.

It holds what may be lost: counts of sign-ins and of requests. When it is full it drops what would
expire first. It writes them all to a new file every few seconds, which then replaces the last one:
a log that a power cut had damaged kept it from starting.
"""

from dataclasses import dataclass
from pathlib import Path

from stack.state_folder import StateFolder
from stack.supervision.probes import PingProbe
from stack.supervision.program import Program, ProgramKind, base_env

NAME = "redis"
PING = b"PING\r\n"
SAVE_S = 5  # counts of the last seconds are lost by a kill


class RedisMissing(Exception):
    """No Redis on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisServerConfig:
    program: Path = Path("/usr/bin/redis-server")
    memory_max_mib: int = 256


def redis(home: StateFolder, config: RedisServerConfig | None = None) -> Program:
    """Write the configuration and return the program. Raises RedisMissing."""
    config = config or RedisServerConfig()
    if not config.program.exists():
        raise RedisMissing(f"no {config.program}; install it: apt install redis-server")
    folder = home.engine(NAME)
    conf = folder / "redis.conf"
    conf.write_text(configuration(home, config), encoding="utf-8")
    return Program(
        name=NAME,
        kind=ProgramKind.ENGINE,
        argv=(str(config.program), str(conf)),
        env=base_env(home),
        cwd=folder,
        ready=ping(home),
        detail=f"at most {config.memory_max_mib} MiB",
    )


def ping(home: StateFolder) -> PingProbe:
    return PingProbe(home.socket(NAME), PING, b"+PONG")


def configuration(home: StateFolder, config: RedisServerConfig) -> str:
    """The text of redis.conf. No TCP port: the socket's mode says who may connect."""
    lines = {
        "port": 0,
        "unixsocket": home.socket(NAME),
        "unixsocketperm": 600,
        "dir": home.engine(NAME),
        "daemonize": "no",
        "logfile": '""',
        "save": f"{SAVE_S} 1",
        "stop-writes-on-bgsave-error": "no",  # a full disk
        "maxmemory": f"{config.memory_max_mib}mb",
        "maxmemory-policy": "volatile-ttl",
    }
    return "".join(f"{key} {value}\n" for key, value in lines.items())

"""One S3 server, versitygw, on 127.0.0.1, with its objects as files in HOME/objects.

For the distributed profile on one machine. Its keys are secrets of the state folder; they are in
its environment, and on no command line.
"""

from dataclasses import dataclass
from pathlib import Path

from stack.durable_files import make_folder
from stack.secrets import secret
from stack.state_folder import StateFolder
from stack.supervision.probes import TcpProbe
from stack.supervision.program import Program, ProgramKind, base_env

NAME = "versitygw"
BUCKET = "postriver"


class VersityGwMissing(Exception):
    """The program is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersityGwConfig:
    """`program`: built by Go, see scripts/steps.sh."""

    program: Path
    port: int


def versitygw(home: StateFolder, config: VersityGwConfig) -> Program:
    """Make the bucket's folder and the keys, and return the program. Raises VersityGwMissing."""
    if not config.program.exists():
        raise VersityGwMissing(
            f"no {config.program}; `POSTRIVER_PROFILE=distributed make run` builds it"
        )
    bucket = bucket_folder(home)
    for folder in (bucket.parent, bucket):
        make_folder(folder)
    access_key, secret_key = keys(home)
    return Program(
        name=NAME,
        kind=ProgramKind.ENGINE,
        argv=(
            str(config.program), "--port", f"127.0.0.1:{config.port}", "--quiet",
            "posix", str(bucket.parent),
        ),
        env=base_env(home, {"ROOT_ACCESS_KEY": access_key, "ROOT_SECRET_KEY": secret_key}),
        cwd=home.engine(NAME),
        ready=TcpProbe(config.port),
        detail=f"127.0.0.1:{config.port}",
    )  # fmt: skip


def bucket_folder(home: StateFolder) -> Path:
    """Where the server keeps each object in a file of its key. It syncs nothing itself."""
    return home.path / "objects" / BUCKET


def keys(home: StateFolder) -> tuple[str, str]:
    """The access key and the secret key, made at the first start."""
    return secret(home, "s3-access")[:32], secret(home, "s3-secret")

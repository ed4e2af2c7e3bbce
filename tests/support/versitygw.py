"""One S3 server for tests, started with the product's own configuration."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from stack.engines.versitygw import VersityGwConfig, bucket_folder, keys, versitygw
from stack.state_folder import StateFolder
from stores.s3.objects import ObjectsConfig
from tests.support import ROOT
from tests.support.broker import free_ports
from tests.support.engine import Engine

PROGRAM = ROOT / ".tools" / "versitygw" / "bin" / "versitygw"


class VersityGw(Engine):
    """A server on a free port; `objects` says how to reach it. `env`: more of its environment."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None) -> None:
        home, (self.port,) = StateFolder(folder / "home"), free_ports(1)
        access_key, secret_key = keys(home)
        self.objects = ObjectsConfig(
            endpoint=f"http://127.0.0.1:{self.port}", access_key=access_key, secret_key=secret_key,
            folder=bucket_folder(home),
        )  # fmt: skip
        program = versitygw(home, VersityGwConfig(program=PROGRAM, port=self.port))
        program = replace(program, env={**program.env, **(env or {})})
        super().__init__(program, folder / "out.log")


def tls_settings(certificate: Path, key: Path) -> dict[str, str]:
    """The environment of a server that speaks TLS only."""
    return {"VGW_CERT": str(certificate), "VGW_KEY": str(key)}

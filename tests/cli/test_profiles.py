"""Adapters of the profiles."""

import subprocess
import sys

from cli.wiring.distributed_adapters import DistributedAdapters
from cli.wiring.embedded import Adapters
from tests.support import ROOT

SHARED = {"parser", "virus", "spam"}  # the same in both profiles


def test_no_store_of_the_distributed_profile_is_a_file() -> None:
    """A store that the profile does not open itself would be one of the embedded profile."""
    opened = {name for name in vars(Adapters) if not name.startswith("_")}
    assert opened - set(vars(DistributedAdapters)) == SHARED


def test_the_embedded_profile_loads_no_driver_of_the_other() -> None:
    code = (
        "import sys, cli.wiring.profile, cli.roles.api, cli.roles.setup, cli.roles.workers;"
        "print(sorted({'cassandra', 'opensearchpy', 'redis'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, text=True, check=True, capture_output=True
    )
    assert done.stdout.strip() == "[]"

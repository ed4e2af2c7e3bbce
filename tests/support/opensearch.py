"""One OpenSearch node for tests, started with the product's own configuration."""

import os
import random
import socket
from pathlib import Path

import pytest

from stack.engines.opensearch import PORTS, OpenSearchConfig, opensearch
from stack.state_folder import StateFolder
from tests.support import ROOT
from tests.support.broker import free_ports
from tests.support.engine import Engine

JARS = ROOT / ".tools" / "opensearch" / "lib"


def free_http_port() -> int:
    """A port that the runner takes."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    pytest.fail("no port is free for OpenSearch")


class OpenSearchNode(Engine):
    """A node on a free port."""

    def __init__(self, folder: Path) -> None:
        self.port, (transport_port,) = free_http_port(), free_ports(1)
        config = OpenSearchConfig(
            lib=JARS, port=self.port, transport_port=transport_port, heap_max_mib=512
        )
        super().__init__(opensearch(StateFolder(folder / "home"), config), folder / "out.log")


def given_port() -> int | None:
    """The port of a node that runs already; None: tests start one."""
    port = os.environ.get("POSTRIVER_TEST_OPENSEARCH")
    return int(port) if port else None

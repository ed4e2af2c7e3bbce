"""Fixtures: one OpenSearch node for all tests of this folder."""

from collections.abc import Iterator

import pytest

from mail.ids import new_id
from stores.opensearch.client import SearchClusterConfig
from tests.support.opensearch import OpenSearchNode, given_port


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a node of this run, or of the one at POSTRIVER_TEST_OPENSEARCH."""
    if port := given_port():
        yield port
        return
    with OpenSearchNode(tmp_path_factory.mktemp("opensearch")) as node:
        yield node.port


@pytest.fixture(scope="session")
def config(node: int) -> SearchClusterConfig:
    return SearchClusterConfig(port=node, prefix=f"test-{new_id()}", refresh="20ms")

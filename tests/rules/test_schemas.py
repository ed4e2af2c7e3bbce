"""Versions of what has no list of migrations: a change of it needs a higher version."""

import hashlib

import msgspec
import pytest

from schemas.opensearch.search import PROGRESS, SEARCH, SEARCH_VERSION, settings
from schemas.versions.topics import TOPICS_VERSION
from streams.config import Bootstrap, TopicsConfig
from streams.topics.settings import required_settings
from streams.topology import PARTITIONS, TOPICS

ONE, THREE = (TopicsConfig(bootstrap=Bootstrap("unused"), replicas=replicas) for replicas in (1, 3))
TOPICS_MADE = [
    (topic.name, PARTITIONS, required_settings(topic, ONE), required_settings(topic, THREE))
    for topic in TOPICS
]
MAPPINGS = (SEARCH, PROGRESS, settings(1, 0, "1s"))


def digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((TOPICS_VERSION, digest(TOPICS_MADE)), (1, "910c92b85e20a578")),
        ((SEARCH_VERSION, digest(MAPPINGS)), (2, "ed58dc92904db0de")),
    ],
    ids=["topics", "search"],
)
def test_a_changed_schema_has_a_higher_version(found: tuple, expected: tuple) -> None:
    """After a change: raise the version in schemas/, then write both here."""
    assert found == expected

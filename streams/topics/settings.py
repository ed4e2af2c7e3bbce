"""What every setting of a topic must be, and how one that the broker has differs."""

from dataclasses import dataclass

from streams.config import TopicsConfig
from streams.publisher import RECORD_MAX_BYTES
from streams.topology import Topic


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A topic's setting that is not as the table has it."""

    topic: str
    setting: str
    found: str
    wanted: str


@dataclass(frozen=True, slots=True)
class ActualTopic:
    """A topic as the broker has it: settings with where each comes from."""

    partitions: int
    settings: dict[str, tuple[str, int]]


def wanted(topic: Topic, config: TopicsConfig) -> dict[str, str]:
    """Every setting that `topic` must have on this cluster."""
    settings = {
        "max.message.bytes": str(RECORD_MAX_BYTES + 16 * 1024),  # a batch is a little more
        "min.insync.replicas": str(config.min_in_sync),
        **topic.settings,
    }
    if topic.flushed and config.flush_each:
        settings["flush.messages"] = "1"
    return settings


def differences(topic: Topic, config: TopicsConfig, found: ActualTopic) -> list[SettingDifference]:
    want = {"partitions": str(config.partitions), **wanted(topic, config)}
    have = {name: value for name, (value, _) in found.settings.items()}
    have["partitions"] = str(found.partitions)
    return [
        SettingDifference(topic.name, name, have.get(name, "unset"), value)
        for name, value in want.items()
        if have.get(name, "unset") != value
    ]

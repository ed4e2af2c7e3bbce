"""Required settings of topics, and their differences from the settings on the broker."""

from dataclasses import dataclass

from streams.config import TopicsConfig
from streams.publisher import RECORD_MAX_BYTES
from streams.topology import Topic


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A setting of a topic on the broker that differs from the required setting."""

    topic: str
    setting: str
    actual: str
    expected: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.setting} is {self.actual}, expected {self.expected}"


@dataclass(frozen=True, slots=True)
class ActualTopic:
    """A topic on the broker."""

    partitions: int
    settings: dict[str, tuple[str, int]]  # name: value, and Kafka's code of its source


def required_settings(topic: Topic, config: TopicsConfig) -> dict[str, str]:
    """Return every setting that `topic` must have on this cluster."""
    settings = {
        "max.message.bytes": str(RECORD_MAX_BYTES + 16 * 1024),  # a batch has a header
        "min.insync.replicas": str(config.min_in_sync),
        **topic.settings,
    }
    if topic.flushed and config.flush_each:
        settings["flush.messages"] = "1"
    return settings


def differences(topic: Topic, config: TopicsConfig, actual: ActualTopic) -> list[SettingDifference]:
    """Return the differences of `actual` from the settings that `topic` must have."""
    required = {"partitions": str(config.partitions), **required_settings(topic, config)}
    settings = {name: value for name, (value, _) in actual.settings.items()}
    settings["partitions"] = str(actual.partitions)
    return [
        SettingDifference(topic.name, name, settings.get(name, "unset"), value)
        for name, value in required.items()
        if settings.get(name, "unset") != value
    ]

"""Required settings of topics, and their differences from the settings on the broker."""

from dataclasses import dataclass

from streams.config import TopicsConfig
from streams.publisher import RECORD_MAX_BYTES
from streams.topology import Topic

REPLICATION = "replication.factor"  # not a setting of the broker, but of a topic's making
IN_SYNC = "min.insync.replicas"


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
    replicas: int
    settings: dict[str, tuple[str, int]]  # name: value, and Kafka's code of its source


def required_settings(topic: Topic, config: TopicsConfig) -> dict[str, str]:
    """Return every setting that `topic` must have on this cluster."""
    settings = {
        "max.message.bytes": str(RECORD_MAX_BYTES + 16 * 1024),  # a batch has a header
        IN_SYNC: str(config.min_in_sync),
        "unclean.leader.election.enable": "false",  # a replica that lags would drop accepted mail
        **topic.settings,
    }
    if topic.flushed and config.flush_each:
        settings["flush.messages"] = "1"
    return settings


def differences(topic: Topic, config: TopicsConfig, actual: ActualTopic) -> list[SettingDifference]:
    """Return the differences of `actual` from the settings that `topic` must have.

    More replicas than required, in all or in sync, are no difference: they lose nothing.
    """
    required = {
        "partitions": str(config.partitions),
        REPLICATION: str(config.replicas),
        **required_settings(topic, config),
    }
    settings = {name: value for name, (value, _) in actual.settings.items()}
    settings |= {"partitions": str(actual.partitions), REPLICATION: str(actual.replicas)}
    return [
        SettingDifference(topic.name, name, settings.get(name, "unset"), value)
        for name, value in required.items()
        if settings.get(name, "unset") != value
        and not _is_safer(name, settings.get(name, ""), value, actual)
    ]


def _is_safer(name: str, found: str, value: str, actual: ActualTopic) -> bool:
    """Whether the value on the broker is above the required one, and can be met."""
    if name not in {REPLICATION, IN_SYNC} or not found.isdigit():
        return False
    return int(value) < int(found) <= actual.replicas

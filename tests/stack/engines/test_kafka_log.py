"""The broker's log folder: made whole or not at all, never written over, not started when full."""

from pathlib import Path

import pytest

from stack.engines.kafka import KafkaConfig, KafkaMissing, kafka, no_room
from stack.state_folder import StateFolder
from tests.stack.small_machine import KAFKA_LIB

CONFIG = KafkaConfig(lib=KAFKA_LIB, port=20_001, controller_port=20_002)


@pytest.fixture
def home(tmp_path: Path) -> StateFolder:
    (tmp_path / "kafka").mkdir()
    return StateFolder(tmp_path)


@pytest.mark.engines
def test_it_gets_its_name_when_it_is_whole_and_keeps_its_cluster(home: StateFolder) -> None:
    (home.kafka / "log.new").mkdir()
    (home.kafka / "log.new" / "meta.properties").touch()  # a start that was cut short
    kafka(home, CONFIG)
    made = {path.name: path.read_bytes() for path in (home.kafka / "log").iterdir()}
    assert all(made.values()), "nothing of it is empty"
    assert {"meta.properties", "bootstrap.checkpoint"} <= made.keys()
    assert not (home.kafka / "log.new").exists()
    kafka(home, CONFIG)
    assert {path.name: path.read_bytes() for path in (home.kafka / "log").iterdir()} == made


@pytest.mark.engines
def test_topics_without_a_cluster_id_are_left_alone(home: StateFolder) -> None:
    topic = home.kafka / "log" / "mail.received-0"
    topic.mkdir(parents=True)
    with pytest.raises(KafkaMissing, match="put that file back"):
        kafka(home, CONFIG)
    assert topic.exists()


def test_a_full_disk_is_no_place_to_start_on(tmp_path: Path) -> None:
    assert no_room(tmp_path) is None
    assert no_room(Path("/proc")) == "0 MiB free on its disk, 128 MiB needed"

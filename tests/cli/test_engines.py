"""Engines that run elsewhere: settings, programs that are not started, and secrets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.backup.manifest import Manifest
from cli.commands.up_down_status import starting_line
from cli.config.config import load
from cli.config.engines import FORMS
from cli.config.setting_reader import BadSetting
from cli.doctor import external
from cli.programs import engine_makers, programs
from cli.stack_addresses import load_running, published_settings
from stack.ports import free_port
from stack.state_folder import StateFolder, claimed
from stack.supervision.client import write_settings
from stack.supervision.program import check_programs

SECRET = "hunter2correcthorse"
URLS = {
    "POSTRIVER_CLAMD": "clamd://scan.example.org",
    "POSTRIVER_SPAMD": "spamd://[::1]:1783",
    "POSTRIVER_REDIS": "redis://counts@redis.example.org?tls=1&ca=/etc/ssl/ours.pem",
    "POSTRIVER_CASSANDRA": "cassandra://tables@a.example.org,b.example.org?tls=1",
    "POSTRIVER_OPENSEARCH": "opensearch://finder@[2001:db8::1],c.example.org:9200",
    "POSTRIVER_KAFKA": "kafka://boss@k1.example.org,k2.example.org?replicas=3&tls=1",
    "POSTRIVER_S3": "s3://KEY1@s3.example.org/mails?tls=1&region=eu-central-1",
}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[StateFolder]:
    with claimed(tmp_path / "home") as mine:
        yield mine


@pytest.fixture
def settings(tmp_path: Path, home: StateFolder) -> dict[str, str]:
    """Settings with every engine elsewhere."""
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    names = [name for name, form in FORMS.items() if form.user != "none"]
    files = {f"POSTRIVER_{name.upper()}_PASSWORD_FILE": str(file) for name in names}
    return {"POSTRIVER_HOME": str(home.path), "POSTRIVER_PROFILE": "distributed", **URLS, **files}


def test_a_program_is_started_for_each_engine_that_is_not_elsewhere(
    home: StateFolder, settings: dict[str, str]
) -> None:
    here = {"POSTRIVER_PROFILE": "distributed"}
    everything = set(engine_makers(load(here), home))
    assert everything == {"kafka", "cassandra", "opensearch", "redis", "s3", "clamd", "spamd"}
    assert set(engine_makers(load(settings), home)) == everything - set(FORMS)
    assert starting_line(load(settings), home).startswith("starting: our own processes; ")
    scanners = {name: URLS[name] for name in ("POSTRIVER_CLAMD", "POSTRIVER_SPAMD")}
    assert starting_line(load(scanners), home).startswith("starting: kafka, then our own ")
    found = tuple(programs(load(scanners), home))
    check_programs(found)
    assert {"clamd", "spamd"}.isdisjoint(each.name for each in found)


def test_every_process_gets_the_urls_and_no_password(
    home: StateFolder, settings: dict[str, str]
) -> None:
    config = load(settings)
    config.password_of("redis")
    assert load(config.as_settings()) == config
    assert config.password_of("redis") == SECRET
    assert config.password_of("clamd") == ""
    seen = [*config.as_settings().values(), *published_settings(config).values(), repr(config)]
    assert not any(SECRET in text for text in seen)
    assert "settings" in Manifest.__struct_fields__  # what a backup has of published_settings


def test_a_command_finds_the_engines_of_the_running_stack(
    home: StateFolder, settings: dict[str, str]
) -> None:
    write_settings(home, published_settings(load(settings)))
    shell = {"POSTRIVER_HOME": str(home.path)}
    assert dict(load_running(shell).external()) == dict(load(settings).external())
    with pytest.raises(BadSetting, match="unset POSTRIVER_CLAMD"):
        load_running({**shell, "POSTRIVER_CLAMD": "clamd://other.example.org"})


def test_no_port_is_opened_for_an_engine_that_is_elsewhere(settings: dict[str, str]) -> None:
    here = {"POSTRIVER_PROFILE": "distributed"}
    left = set(load(here).all_ports()) - set(load(settings).all_ports())
    assert left == {
        f"POSTRIVER_{name}_PORT"
        for name in (
            "S3",
            "CASSANDRA",
            "CASSANDRA_STORAGE",
            "OPENSEARCH",
            "OPENSEARCH_TRANSPORT",
            "KAFKA",
            "CONTROLLER",
        )
    }


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"POSTRIVER_PROFILE": "embedded"}, "POSTRIVER_REDIS"),
        ({"POSTRIVER_S3_PASSWORD_FILE": ""}, "POSTRIVER_S3_PASSWORD_FILE"),
        ({"POSTRIVER_REDIS": ""}, "POSTRIVER_REDIS_PASSWORD_FILE"),
        ({"POSTRIVER_SIGNATURES": "update"}, "POSTRIVER_SIGNATURES"),
        ({"POSTRIVER_CASSANDRA": "cassandra://api@h"}, "POSTRIVER_CASSANDRA"),
        ({"POSTRIVER_KAFKA": "kafka://scan@h"}, "POSTRIVER_KAFKA"),
        ({"POSTRIVER_KAFKA": "kafka://boss@h?replicas=1&min_insync=2"}, "POSTRIVER_KAFKA"),
    ],
)
def test_settings_that_contradict_are_refused(
    settings: dict[str, str], change: dict[str, str], name: str
) -> None:
    with pytest.raises(BadSetting, match=name):
        load({**settings, **change})


def test_roles_wait_for_setup_if_it_makes_their_users_at_the_broker(
    home: StateFolder, settings: dict[str, str]
) -> None:
    elsewhere = {name: settings[name] for name in settings if "KAFKA" in name or "HOME" in name}
    made = {each.name: each for each in programs(load(elsewhere), home)}
    assert "kafka" not in made
    assert made["setup"].after == ()
    assert made["scan"].after == ("setup",)


def test_scanners_may_be_elsewhere_in_the_embedded_profile() -> None:
    urls = {name: URLS[name] for name in ("POSTRIVER_CLAMD", "POSTRIVER_SPAMD")}
    assert load(urls).scanner_addresses == {
        "clamd": ("scan.example.org", 3310), "spamd": ("::1", 1783),
    }  # fmt: skip


@pytest.mark.parametrize("content", [None, b"", b"\nsecond\n", b"\xff\n"])
def test_a_start_is_refused_without_a_password(
    settings: dict[str, str], tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "other"
    if content is not None:
        file.write_bytes(content)
    config = load(
        {**settings, "POSTRIVER_REDIS": "redis://u@h", "POSTRIVER_REDIS_PASSWORD_FILE": str(file)}
    )
    with pytest.raises(BadSetting, match="POSTRIVER_REDIS_PASSWORD_FILE"):
        config.check_external()


def test_a_start_is_refused_without_the_certificates(settings: dict[str, str]) -> None:
    with pytest.raises(BadSetting, match="ca=/etc/ssl/ours"):
        load(settings).check_external()


async def test_the_doctor_says_which_host_does_not_answer() -> None:
    port = free_port()
    config = load({"POSTRIVER_CLAMD": f"clamd://127.0.0.1:{port}"})
    (state,) = await external.states(config)
    assert (state.engine, state.at) == ("clamd", f"127.0.0.1:{port}")
    assert "not listening" in state.reason
    (finding,) = await external.answering(config)
    assert "POSTRIVER_CLAMD" in finding.do
    (finding,) = await external.virus_signatures(config)
    assert finding.what.startswith("unknown: clamd")


@pytest.mark.parametrize(
    ("version", "number"),
    [("ClamAV 1.4.3/27830/Sat Nov 28 09:14:01 2026", "27830"), ("ClamAV 1.4.3", "")],
)
def test_the_version_of_a_clamd_names_its_signatures(version: str, number: str) -> None:
    found = external.parsed(version)
    assert found.version == number
    assert (found.built_at_s == 1_795_857_241) is bool(number)

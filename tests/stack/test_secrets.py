"""Secrets: made once, for their owner alone, and nowhere else."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from cli.config.config import load
from cli.programs import kafka_config
from mail.errors import Refused
from stack.engines.kafka import properties
from stack.secrets import known, secret, write_private
from stack.state_folder import StateFolder, claimed


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with claimed(tmp_path / "home") as home:
            assert known(home.path, "scan") is None
            made = secret(home, "scan")
            assert len(made) == 64
            assert secret(home, "scan") == known(home.path, "scan") == made
            assert secret(home, "api") != made
            (home.path / "secrets" / "scan").unlink()
            assert secret(home, "scan") != made
            assert mode(home.path / "secrets") == 0o700
            assert {mode(path) for path in (home.path / "secrets").iterdir()} == {0o600}
    finally:
        os.umask(before)


def test_a_file_that_lies_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    (tmp_path / "x.new").symlink_to(victim)
    write_private(tmp_path / "x", "secret")
    assert victim.read_text() == "as it was"
    assert (tmp_path / "x").read_text() == "secret"


def test_each_process_shows_its_own_secret_and_no_setting_holds_one(tmp_path: Path) -> None:
    home = StateFolder(tmp_path)
    config = load({"POSTRIVER_HOME": str(tmp_path)})
    assert config.bootstrap.user == "", "no start has made secrets yet"
    secrets = {name: secret(home, name) for name in ("operator", "scan", "setup", "broker")}
    scan = replace(config, user="scan")
    assert config.bootstrap.password == secrets["operator"]
    assert (scan.bootstrap.user, scan.bootstrap.password) == ("scan", secrets["scan"])
    told = f"{config} {config.as_settings()} {scan.as_settings()} {scan.bootstrap}"
    told += str(properties(home, kafka_config(config)))
    assert not [name for name, value in secrets.items() if value in told]
    assert "POSTRIVER_USER" not in scan.as_settings()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_secret_of_somebody_elses_is_refused_with_words(tmp_path: Path) -> None:
    secret(StateFolder(tmp_path), "operator")
    (tmp_path / "secrets").chmod(0)
    with pytest.raises(Refused, match="cannot be read"):
        _ = load({"POSTRIVER_HOME": str(tmp_path)}).bootstrap
    (tmp_path / "secrets").chmod(0o700)

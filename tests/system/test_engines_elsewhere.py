"""An installation whose engines all run elsewhere, each at a URL, with a password and TLS."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cli.config.engines import FORMS
from tests.support import mails
from tests.support.engines_elsewhere import Elsewhere, engines_elsewhere
from tests.support.stack_world import Client, World, folder_of, free_port_base, started
from tests.support.waiting import eventually
from tests.system.paths.test_operator import OF_THE_MACHINE, examined

pytestmark = [pytest.mark.distributed, pytest.mark.stack, pytest.mark.timeout(900)]
ANN = "ann@elsewhere.test"


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    with folder_of("engines") as folder, engines_elsewhere(folder) as engines:
        yield engines


@pytest.fixture(scope="module")
def running(elsewhere: Elsewhere) -> Iterator[World]:
    settings = {**elsewhere.settings, "POSTRIVER_PROFILE": "distributed"}
    with folder_of("elsewhere") as top:
        ours = World(top / "home", free_port_base(), settings)
        with started(ours):
            ours.cli("domain", "add", "elsewhere.test")
            yield ours


@pytest.fixture(scope="module")
def ann(running: World) -> Client:
    return running.add_user(ANN)


def away(running: World) -> set[str]:
    """The engines that do not answer."""
    rows = running.status()["external"]
    assert [row["engine"] for row in rows] == list(FORMS)
    return {row["engine"] for row in rows if row["reason"]}


def quarantined(running: World) -> set[str]:
    rows = json.loads(running.cli("quarantine", "list", "--json").stdout)
    return {row["mail_id"] for row in rows}


def audited(running: World) -> Any:
    return json.loads(running.cli("audit", "--since", "1h", "--json", check=False).stdout)


def test_mail_is_delivered_read_and_found(running: World, ann: Client) -> None:
    status = running.status()
    assert (status["state"], status["engines"]) == ("ready", [])
    eventually(lambda: not away(running))
    small = running.send(mails.compose("Far away", "An otterwort.\n"), ANN)
    attached = mails.attachment(300_000)
    large = running.send(attached, ANN)  # an object
    bad = {running.send(mails.eicar(), ANN), running.send(mails.gtube(), ANN)}
    found = eventually(lambda: ann.message_of(small))
    hits = ann.call("GET", "/v1/search?q=otterwort")["messages"]
    assert [hit["id"] for hit in hits] == [found["id"]]
    big = eventually(lambda: ann.message_of(large) or ann.message_of(large, "junk"))
    assert ann.raw("GET", f"/v1/messages/{big['id']}/raw").endswith(attached)
    eventually(lambda: bad <= quarantined(running))
    eventually(lambda: audited(running)["counts"]["in_flight"] == 0)
    assert audited(running)["lost"] == []
    running.cli("verify", "--content")
    problems = [row for row in examined(running) if row["level"] == "problem"]
    assert {row["check"] for row in problems} <= OF_THE_MACHINE, problems


def test_an_engine_that_is_away_is_named_and_waited_for(
    running: World, ann: Client, elsewhere: Elsewhere
) -> None:
    for engine in (elsewhere.redis, elsewhere.clamd):
        engine.stop()
    try:
        assert away(running) == {"redis", "clamd"}
        assert running.login(ANN).token, "each process counts alone"
        mail_id = running.send(mails.plain("Waits"), ANN)
        eventually(lambda: "held: clamd, since" in running.cli("trace", mail_id).stdout)
    finally:
        for engine in (elsewhere.redis, elsewhere.clamd):
            engine.start()
    eventually(lambda: ann.message_of(mail_id))
    eventually(lambda: not away(running))

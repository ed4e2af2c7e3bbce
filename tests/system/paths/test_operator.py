"""A running stack for the operator: metrics that alerts use, and the doctor."""

import asyncio
import json
import re
import urllib.request
from collections.abc import Iterable

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from streams.config import Bootstrap, TopicsConfig
from streams.topics.settings import required_settings
from streams.topology import BY_NAME
from tests.rules.test_alerts import NAME, expressions
from tests.support import mails
from tests.support.stack_world import PROFILE, Client, Unwilling, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
# Checks of the machine that runs the tests.
OF_THE_MACHINE = {"signatures", "memory", "files", "disk", "log", "inodes", "fsync", "clock"}
NO_BASE_UNIT = re.compile(r"_(ms|us|minutes|hours|days|kb|kib|mb|mib|percent)(_|$)")


def page(running: World) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{running.base + 2}/metrics") as answer:
        return answer.read().decode()


def families(running: World) -> dict[str, Metric]:
    found = list(text_string_to_metric_families(page(running)))
    assert len({family.name for family in found}) == len(found), "a family occurs twice"
    return {family.name: family for family in found}


def series(found: Iterable[Metric]) -> set[str]:
    """Return every name that a query may use, with or without a sample."""
    ends = {
        "counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count"),
    }  # fmt: skip
    return {f"{family.name}{end}" for family in found for end in ends[family.type]}


def test_metrics_follow_the_conventions(running: World, ann: Client) -> None:
    mail_id = running.send(mails.plain("Counted"), "ann@postriver.test")
    eventually(lambda: ann.message_of(mail_id))
    if PROFILE == "embedded":
        written = {"mail", "holders", "search"}
        eventually(lambda: written <= files(families(running)), what="commits")
    found = families(running)
    for name, family in found.items():
        assert re.fullmatch(r"postriver_[a-z0-9_]+", name)
        assert family.documentation, name
        assert not NO_BASE_UNIT.search(name), name
        assert family.type != "histogram" or name.endswith("_seconds"), name
    ages = [
        s for s in found["postriver_mail_age_seconds"].samples if s.labels["stage"] == "mailbox"
    ]
    buckets = [s.value for s in ages if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == next(s.value for s in ages if s.name.endswith("_count")) > 0
    assert {"received", "validated", "scanned"} <= {
        s.labels["topic"].removeprefix("mail.")
        for s in found["postriver_topic_size_bytes"].samples
        if s.value > 0
    }


def files(found: dict[str, Metric]) -> set[str]:
    """Return the SQLite files with commits; the index is written last."""
    return {s.labels["file"] for s in found["postriver_sqlite_commit_seconds"].samples}


def test_alerts_and_dashboard_use_what_there_is(running: World) -> None:
    used = {name for expr in expressions() for name in NAME.findall(expr)}
    assert used
    eventually(lambda: not used - series(families(running).values()), what=f"all of {used}")


def test_the_doctor_on_a_running_stack_names_a_changed_topic(running: World) -> None:
    before: list[dict] = []

    def is_well() -> bool:
        """Whether the machine is all that is wrong: a busy engine answers at the next look."""
        before[:] = examined(running)
        return {one["check"] for one in before if one["level"] == "problem"} <= OF_THE_MACHINE

    eventually(is_well)
    assert {"answers", "clamd.conf", "server.properties", "topics", "lag"} <= {
        one["check"] for one in before if one["level"] == "ok"
    }
    bootstrap = running.bootstrap
    right = required_settings(BY_NAME["mail.received"], TopicsConfig(bootstrap=bootstrap))
    asyncio.run(alter(bootstrap, {**right, "retention.ms": "604800000"}))
    try:
        (topics,) = [one for one in examined(running) if one["check"] == "topics"]
        assert topics["level"] == "problem"
        assert topics["what"] == "mail.received: retention.ms is 604800000, expected -1"
        assert "postriver up" in topics["do"]
    finally:
        asyncio.run(alter(bootstrap, right))
    (topics,) = [one for one in examined(running) if one["check"] == "topics"]
    assert topics["level"] == "ok"


def examined(running: World) -> list[dict]:
    return json.loads(running.cli("doctor", "--json", check=False).stdout)["findings"]


async def alter(bootstrap: Bootstrap, settings: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(**bootstrap.options)
    await admin.start()
    try:
        resource = ConfigResource(ConfigResourceType.TOPIC, "mail.received", settings)
        await admin.alter_configs([resource])
    finally:
        await admin.close()


def test_an_operator_uses_stores_broker_and_supervisor_by_the_api(running: World) -> None:
    """What the unit tests of api/admin have in memory, once with the engines."""
    with pytest.raises(Unwilling) as refused:
        running.add_user("olga@postriver.test").call("GET", "/v1/admin/status")
    assert refused.value.code == 403
    running.cli("user", "role", "olga@postriver.test", "operator")
    assert "olga@postriver.test (operator)" in running.cli("user", "list").stdout
    olga = running.login("olga@postriver.test")
    mail_id = running.send(mails.plain("Traced"), "olga@postriver.test")
    eventually(lambda: olga.message_of(mail_id))
    roles = {role["name"] for role in olga.call("GET", "/v1/admin/status")["roles"]}
    assert {"intake", "scan", "mailbox", "index", "api"} <= roles
    eventually(lambda: any(value is not None for value in lag_of(olga, "mailbox")))
    (end,) = olga.call("GET", f"/v1/admin/trace?name={mail_id}")["ends"]
    assert [hop["stage"] for hop in end["hops"]][:3] == ["ingress", "validate", "scan"]
    assert olga.call("GET", "/v1/admin/queue")["domains"] == []
    assert olga.call("GET", "/v1/admin/dead-letters/causes")["causes"] is not None
    results = olga.call(
        "POST", "/v1/admin/dead-letters/redrive", {"ids": ["0-999999"], "dry_run": True}
    )["results"]
    assert [row["outcome"] for row in results] == ["not_found"]
    records = olga.call("GET", "/v1/admin/domains/postriver.test/records")["records"]
    assert len(records) == 5
    spam = running.send(mails.gtube(), "olga@postriver.test")
    row = eventually(lambda: quarantined(olga, spam))
    assert row["cause"] == "spam"
    olga.call("POST", f"/v1/admin/quarantine/{spam}/release", {})
    eventually(lambda: olga.message_of(spam))
    noted = running.cli("acts").stdout.splitlines()
    assert f"quarantine.release {spam}: done" in noted[0]
    assert len(noted) == 2


def lag_of(operator: Client, process: str) -> list[int | None]:
    series = operator.call("GET", "/v1/admin/history")["series"]
    return next(one["values"] for one in series if one["name"] == process)


def quarantined(operator: Client, mail_id: str) -> dict | None:
    rows = operator.call("GET", "/v1/admin/quarantine")["mails"]
    return next((row for row in rows if row["mail_id"] == mail_id), None)


def test_a_running_stack_has_nothing_to_migrate(running: World) -> None:
    """Its engines are asked, and each is at the version of the program."""
    report = json.loads(running.cli("migrate", "--json").stdout)
    assert report == {"dry_run": False, "changes": [], "put_off": {}, "error": None}

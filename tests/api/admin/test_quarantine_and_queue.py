"""Quarantine and relay queue by the admin API: the same acts as on the command line."""

import json

from schemas.events.mail import MailScanned
from tests.api.admin.test_admission import ID, RELEASE, answer
from tests.contracts.relay_queue import relay
from tests.support.edge_world import World

IDS = [f"00000000-0000-7000-8000-00000000000{number}" for number in range(1, 6)]
QUARANTINE, QUEUE = "/v1/admin/quarantine", "/v1/admin/queue"


async def test_quarantine_is_listed_in_pages_and_by_cause(world: World) -> None:
    client = await world.operator()
    for number, mail_id in enumerate(IDS):
        await world.desk.keep(mail_id, "bob", reason="infected" if number % 2 else "spam")
    seen, cursor = [], ""
    while cursor is not None:
        status, page = await answer(client, "GET", f"{QUARANTINE}?limit=2{cursor}")
        assert status == 200
        seen += [row["mail_id"] for row in page["mails"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert seen == IDS[::-1]
    page = (await answer(client, "GET", f"{QUARANTINE}?cause=infected"))[1]
    assert [(row["cause"], row["detail"]) for row in page["mails"]] == [("infected", "Odd")] * 2
    assert page["mails"][0]["recipients"] == ["bob@x.test"]
    for bad in ("cause=odd", "cursor=x", "limit=0", "q=1"):
        assert (await answer(client, "GET", f"{QUARANTINE}?{bad}"))[0] == 400


async def test_a_release_names_the_operator_and_infected_mail_takes_force(world: World) -> None:
    client = await world.operator()
    await world.desk.keep(ID, "bob", reason="infected")
    status, body = await answer(client, "POST", RELEASE, json={})
    assert (status, body["code"]) == (409, "refused")
    status, body = await answer(client, "POST", RELEASE, json={"force": True})
    assert (status, body["released_by"]) == (200, "alice@postriver.test")
    (event,) = world.desk.river.events
    assert isinstance(event, MailScanned)
    assert event.released_by == "alice@postriver.test"
    for bad in ({"force": 1}, {"by": "x"}, []):
        assert (await answer(client, "POST", RELEASE, json=bad))[0] == 400
    acts = (await answer(client, "GET", "/v1/admin/acts"))[1]["acts"]
    assert [(act["verb"], act["target"], act["detail"]) for act in acts] == [
        ("quarantine.release", ID, "force"), ("quarantine.release", ID, ""),
    ]  # fmt: skip
    assert (acts[0]["outcome"], acts[0]["operator"]) == ("done", "alice@postriver.test")
    assert acts[1]["outcome"] == "failed: refused"


async def test_a_deleted_mail_is_gone_and_the_log_has_no_subject(world: World) -> None:
    client = await world.operator()
    await world.desk.keep(ID, "bob")
    path = f"{QUARANTINE}/{ID}/delete"
    assert (await answer(client, "POST", path))[0] == 200
    assert (await answer(client, "POST", path))[0] == 404
    assert (await answer(client, "POST", RELEASE, json={}))[0] == 404
    assert (await answer(client, "GET", QUARANTINE))[1]["mails"] == []
    acts = (await answer(client, "GET", "/v1/admin/acts"))[1]["acts"]
    assert [act["outcome"] for act in acts[1:]] == [
        f"failed: mail {ID} is not in quarantine: see postriver trace {ID}", "done",
    ]  # fmt: skip


async def test_the_queue_is_listed_and_changed_by_mail_and_by_condition(world: World) -> None:
    client = await world.operator()
    for number in range(3):
        await world.desk.queue.put(relay(f"m{number}", "u1", "u2"), partition=1, at_ms=1)
    await world.desk.queue.put(relay("m0", destination="example.org"), partition=2, at_ms=1)
    domains = (await answer(client, "GET", QUEUE))[1]["domains"]
    assert [(row["domain"], row["waiting"]) for row in domains] == [
        ("example.net", 6), ("example.org", 1),
    ]  # fmt: skip
    page = (await answer(client, "GET", f"{QUEUE}/recipients?domain=EXAMPLE.net&limit=4"))[1]
    assert ([row["mail_id"] for row in page["recipients"]], page["more"]) == (
        ["m0", "m0", "m1", "m1"], True,
    )  # fmt: skip
    for body, changed in (
        ({"mail_ids": ["m1"]}, 2), ({"domain": "example.net"}, 4), ({"domain": "example.net"}, 0),
    ):  # fmt: skip
        status, said = await answer(client, "POST", f"{QUEUE}/hold", json=body)
        assert (status, said["changed"]) == (200, changed)
    held = (await answer(client, "GET", f"{QUEUE}/recipients?held=true"))[1]["recipients"]
    assert {row["state"] for row in held} == {"held"}
    assert (await answer(client, "POST", f"{QUEUE}/cancel", json={"mail_ids": ["m0"]}))[0] == 200
    acts = (await answer(client, "GET", "/v1/admin/acts"))[1]["acts"]
    assert (acts[-1]["verb"], acts[-1]["target"]) == ("queue.hold", "m1")
    assert json.loads(acts[1]["detail"]) == {"domain": "example.net"}


async def test_a_change_of_everything_or_of_nothing_known_is_refused(world: World) -> None:
    client = await world.operator()
    for path, body, status in (
        ("hold", {}, 400), ("hold", {"mail_ids": []}, 400), ("burn", {"domain": "x.test"}, 404),
        ("hold", {"sender": "nobody@postriver.test"}, 404), ("hold", {"mail_ids": [""]}, 400),
        ("hold", {"domain": "a b"}, 400), ("hold", {"domain": "x" * 321}, 400),
    ):  # fmt: skip
        assert (await answer(client, "POST", f"{QUEUE}/{path}", json=body))[0] == status, path
    for query in ("before=soon", "held=maybe", "sender=none@postriver.test", "limit=501"):
        assert (await answer(client, "GET", f"{QUEUE}/recipients?{query}"))[0] in {400, 404}
    assert await world.directory.acts(limit=1) == []

"""Dead letters, traces and rejected recipients by the admin API."""

import msgspec

from mail.ids import new_id
from schemas.dead_letters import DeadLetter
from schemas.submissions import FAILED
from streams.dead_letters.records import ParkedRecord
from tests.api.admin.test_admission import ID, answer
from tests.support.edge_world import World
from tests.support.event_builders import deliver

LETTERS = "/v1/admin/dead-letters"


def parked(id_: str, cause: str = "no such folder 7", **fields) -> ParkedRecord:
    value = msgspec.msgpack.encode(deliver("m1", "ann"))
    letter = DeadLetter(
        topic="mailbox.commands", partition=3, offset=7, stage="mailbox", cause=cause, attempt=2,
        at_ms=1_767_225_600_000, key=b"ann", value=value,
    )  # fmt: skip
    return ParkedRecord(id=id_, letter=letter, **fields)


async def test_dead_letters_are_listed_counted_and_opened_without_their_content(
    world: World,
) -> None:
    client = await world.operator()
    made = [parked("3-1"), parked("3-2", "odd"), ParkedRecord(id="3-3", letter=None)]
    world.desk.letters.records = {record.id: record for record in made}
    letters = (await answer(client, "GET", LETTERS))[1]["letters"]
    assert [row["id"] for row in letters] == ["3-1", "3-2", "3-3"]
    filtered = (await answer(client, "GET", f"{LETTERS}?cause=ODD&stage=mailbox"))[1]["letters"]
    assert [row["id"] for row in filtered] == ["3-2"]
    causes = (await answer(client, "GET", f"{LETTERS}/causes"))[1]["causes"]
    assert {"stage": "mailbox", "cause": "no such folder …", "count": 1, "example": "3-1"} in causes
    _, letter = await answer(client, "GET", f"{LETTERS}/3-1")
    assert (letter["event"], letter["mail_id"], letter["user_id"]) == (
        "mailbox.deliver.v1", "m1", "ann",
    )  # fmt: skip
    assert "value" not in letter
    assert (await answer(client, "GET", f"{LETTERS}/9-9"))[0] == 404
    for bad in ("limit=0", "after=soon", "since=1", f"cause={'x' * 321}"):
        assert (await answer(client, "GET", f"{LETTERS}?{bad}"))[0] == 400


async def test_dead_letters_are_redriven_discarded_and_parked(world: World) -> None:
    client, letters = await world.operator(), world.desk.letters
    letters.records = {"3-1": parked("3-1"), "3-2": parked("3-2", "odd")}
    for name, body, outcomes in (
        ("redrive", {"ids": ["3-1"], "dry_run": True}, ["would_redrive"]),
        ("redrive", {"cause": "odd"}, ["redriven"]),
        ("redrive", {"ids": ["3-1", "9-9"]}, ["redriven", "not_found"]),
        ("discard", {"ids": ["3-2"], "reason": "old", "dry_run": True}, ["would_discard"]),
        ("discard", {"ids": ["3-2"], "reason": "old"}, ["discarded"]),
    ):
        status, said = await answer(client, "POST", f"{LETTERS}/{name}", json=body)
        assert (status, [row["outcome"] for row in said["results"]]) == (200, outcomes), body
    for dry_run in (True, False):
        body = {"position": "mail.received@3-120", "dry_run": dry_run}
        assert (await answer(client, "POST", f"{LETTERS}/park", json=body))[1] == {
            "parked": not dry_run
        }
    for name, body in (
        ("redrive", {}), ("redrive", {"ids": ["3-1"], "cause": "odd"}), ("redrive", {"ids": "3-1"}),
        ("discard", {"ids": ["3-1"]}), ("discard", {"ids": ["3-1"], "reason": " "}),
        ("discard", {"ids": [], "reason": "old"}), ("park", {"position": "mail.received"}),
        ("park", {}),
    ):  # fmt: skip
        assert (await answer(client, "POST", f"{LETTERS}/{name}", json=body))[0] == 400, body
    acts = await world.directory.acts(limit=9)
    assert [(act.verb, act.target, act.detail) for act in acts[-2:]] == [
        ("dead-letters.redrive", "", "cause=odd"), ("dead-letters.redrive", "3-1", "dry run"),
    ]  # fmt: skip


async def test_a_trace_has_the_hops_with_their_waits_and_no_subject(world: World) -> None:
    client = await world.operator()
    row = await world.deliver(b"Subject: secret\r\n\r\nwords", name="bob")
    status, found = await answer(client, "GET", f"/v1/admin/trace?name={row.mail_id}")
    assert (status, [mail["mail_id"] for mail in found["mails"]]) == (200, [row.mail_id])
    (end,) = found["ends"]
    assert (end["state"], end["address"]) == ("stored", "bob@postriver.test")
    assert [(hop["stage"], hop["waited_ms"]) for hop in end["hops"]] == [("scan", 0)]
    assert "secret" not in str(found)
    assert (await answer(client, "GET", f"/v1/admin/trace?name={new_id()}"))[0] == 404
    recipient = "recipient=bob@postriver.test"
    assert (await answer(client, "GET", f"/v1/admin/trace?{recipient}&around=2026-01-01"))[0] == 404
    for bad in ("", "name=x", f"name={ID}&{recipient}", f"{recipient}&within_min=0",
                f"{recipient}&around=soon", f"name={'x' * 1001}"):  # fmt: skip
        assert (await answer(client, "GET", f"/v1/admin/trace?{bad}"))[0] == 400, bad


async def test_recipients_that_a_mail_did_not_reach_are_listed(world: World) -> None:
    client = await world.operator()
    held = await world.submissions.get(await world.hold("bob", "gone@partner.test"))
    assert held is not None
    recipient = msgspec.structs.replace(
        held.recipients[0], status=FAILED, code="5.1.1", detail="550 no", changed_at_ms=9
    )
    failed = msgspec.structs.replace(held, recipients=(recipient,), version=held.version + 1)
    await world.submissions.put(failed)
    rows = (await answer(client, "GET", "/v1/admin/rejected"))[1]["recipients"]
    assert [(row["address"], row["code"], row["sender"]) for row in rows] == [
        ("gone@partner.test", "5.1.1", "bob@postriver.test")
    ]
    for bad in ("after=soon", "after=1969-01-01", "limit=501"):
        assert (await answer(client, "GET", f"/v1/admin/rejected?{bad}"))[0] == 400

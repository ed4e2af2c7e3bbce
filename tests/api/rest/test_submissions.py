"""/v1/submissions: rows, cancellation, and the notes in the change feed."""

from datetime import UTC, datetime, timedelta

from msgspec import structs

from api.rest.sending.submissions import EXAMINED_MAX
from mail.sending.submission_rows import canceled
from schemas.events.sending import CancelSubmission, FireSubmission
from schemas.submissions import SENT
from tests.api.rest.test_settings import ask
from tests.support.edge_world import World


async def test_a_held_submission_is_listed_and_canceled_once(world: World) -> None:
    alice = await world.signed()
    first, second = [await world.hold("alice", f"{name}@partner.test") for name in "xy"]
    _, page = await ask(alice, "GET", "/v1/submissions?limit=1")
    assert [each["id"] for each in page["submissions"]] == [second]
    _, page = await ask(alice, "GET", f"/v1/submissions?cursor={page['next_cursor']}")
    assert [each["id"] for each in page["submissions"]] == [first]
    status, held = await ask(alice, "GET", f"/v1/submissions/{first}")
    assert (status, held["status"], held["version"]) == (200, "held", 1)
    assert held["held_until"] > held["created_at"]
    assert [each["status"] for each in held["recipients"]] == ["pending"]
    for _ in range(2):  # a repeat is answered like the first request
        assert (await ask(alice, "DELETE", f"/v1/submissions/{first}"))[0] == 200
    _, canceled = await ask(alice, "GET", f"/v1/submissions/{first}")
    assert (canceled["status"], canceled["held_until"]) == ("canceled", None)
    assert [each.outgoing.is_draft for each in world.mailboxes.submitted] == [True]


async def test_what_waits_is_listed_whatever_was_sent_since(world: World) -> None:
    alice = await world.signed()
    later = {"to": ["x@partner.test"], "subject": "Later", "send_at": "2099-01-01T00:00:00Z"}
    assert (await ask(alice, "POST", "/v1/messages", json=later))[0] == 422, "too far ahead"
    at = datetime.now(UTC) + timedelta(days=3)
    _, sent = await ask(alice, "POST", "/v1/messages", json=later | {"send_at": at.isoformat()})
    row = await world.submissions.get(sent["submission_id"])
    assert row is not None
    for number in range(EXAMINED_MAX):
        other = f"ffffffff-{number:04}"
        await world.submissions.put(structs.replace(row, submission_id=other, status=SENT))
    newest = await world.hold("alice", "y@partner.test")
    await world.submissions.put(
        structs.replace(await world.submissions.get(newest), submission_id="fffffffff")
    )
    _, page = await ask(alice, "GET", "/v1/submissions?status=held&limit=1")
    assert [each["id"] for each in page["submissions"]] == ["fffffffff"]
    found = []
    for _ in range(2):
        path = f"/v1/submissions?status=held&cursor={page['next_cursor']}"
        _, page = await ask(alice, "GET", path)
        found += [(each["id"], each["subject"]) for each in page["submissions"]]
    assert found == [(newest, ""), (sent["submission_id"], "Later")]
    assert page["next_cursor"] is None
    status, problem = await ask(alice, "GET", "/v1/submissions?status=lost")
    assert (status, problem["code"], problem["place"]) == (400, "bad_status", "query:status")


async def test_a_sent_submission_is_too_late_to_cancel(world: World) -> None:
    alice = await world.signed()
    held = await world.hold("alice", "x@partner.test")
    row = await world.submissions.get(held)
    assert row is not None
    await world.mailboxes.publish(
        FireSubmission(
            command_id="f", user_id="alice", domain_id="d", submission_id=held, at_ms=row.fire_at_ms
        )
    )
    status, problem = await ask(alice, "DELETE", f"/v1/submissions/{held}")
    assert (status, problem["code"]) == (409, "too_late")


async def test_the_feed_has_each_change_of_a_submission(world: World) -> None:
    alice = await world.signed()
    held = await world.hold("alice", "x@partner.test")
    await ask(alice, "DELETE", f"/v1/submissions/{held}")
    _, page = await ask(alice, "GET", "/v1/changes?since=0")
    changes = [each for each in page["changes"] if "submission" in each]
    notes = [each["submission"] for each in changes]
    assert [(each["id"], each["status"], each["version"]) for each in notes] == [
        (held, "held", 1), (held, "canceled", 2),
    ]  # fmt: skip
    _, row = await ask(alice, "GET", f"/v1/submissions/{held}")
    assert (row["version"], row["changed_seq"]) == (2, changes[1]["seq"])


async def test_a_change_that_the_feed_lacks_has_no_seq(world: World) -> None:
    alice = await world.signed()
    held = await world.hold("alice", "x@partner.test")
    row = await world.submissions.get(held)
    assert row is not None
    cancel = CancelSubmission(
        command_id="c", user_id="alice", domain_id="d", submission_id=held, at_ms=row.created_at_ms
    )
    await world.submissions.put(canceled(row, cancel))
    _, page = await ask(alice, "GET", "/v1/submissions")
    assert [(each["version"], each["changed_seq"]) for each in page["submissions"]] == [(2, None)]


async def test_no_answer_in_time_is_503(make_world) -> None:
    world = await make_world(answer_timeout_s=0.2)
    alice = await world.signed()
    held = await world.hold("alice", "x@partner.test")
    world.mailboxes.deaf = True
    status, problem = await ask(alice, "DELETE", f"/v1/submissions/{held}")
    assert (status, problem["code"]) == (503, "unavailable")

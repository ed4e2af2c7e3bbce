"""Outcomes in any order, some repeated: a recipient whose mail bounced stays failed."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mail.sending.bounced_recipients import bounce_results
from mail.sending.submission_rows import is_latest, reported
from schemas.events.sending import ReportBounce
from schemas.submissions import (
    BouncedRecipient,
    RecipientResult,
    RecipientState,
    RequestedRecipient,
    Submission,
)
from tests.contracts.submissions import submission

ZOE, LOCAL = "Zoe@example.net", "bob@postriver.test"
RECIPIENTS = (
    RequestedRecipient(address=ZOE, original="rfc822;zo@list.example"),
    RequestedRecipient(address=LOCAL),
)
STATES = (RecipientState(address=ZOE), RecipientState(address=LOCAL, status="delivered"))


def row() -> Submission:
    plain = submission("m1", recipients=STATES)
    return msgspec.structs.replace(
        plain, mail=msgspec.structs.replace(plain.mail, recipients=RECIPIENTS)
    )


NAMES = st.sampled_from(["", ZOE, "zoe@EXAMPLE.net.", "zo@list.example", LOCAL, "x@y.example", "@"])
BOUNCES = st.builds(
    ReportBounce,
    command_id=st.just("b"), user_id=st.just("ann"), domain_id=st.just("d1"),
    submission_id=st.just("m1"), at_ms=st.integers(1, 50),
    recipients=st.lists(
        st.builds(
            BouncedRecipient,
            action=st.sampled_from(["failed", "delayed"]), final=NAMES, original=NAMES,
            code=st.sampled_from(["", "2.0.0", "4.4.7", "5.1.1"]), detail=st.text(max_size=3),
        ), max_size=4,
    ).map(tuple),
)  # fmt: skip
ATTEMPTS = st.builds(
    RecipientResult,
    address=st.just(ZOE), status=st.sampled_from(["deferred", "relayed", "failed"]),
    attempts=st.integers(1, 4), at_ms=st.integers(1, 50),
)  # fmt: skip


@given(st.lists(BOUNCES | st.tuples(ATTEMPTS), max_size=8))
def test_results_and_bounces_in_any_order(events: list) -> None:
    now, has_failed = row(), False
    for event in events:
        results = bounce_results(now, event) if isinstance(event, ReportBounce) else event
        assert {each.address for each in results} <= {ZOE, LOCAL}
        assert all(each.code[:2] in {"4.", "5."} for each in results if each.is_bounce)
        before, now = now, reported(now, results, by="b")
        assert reported(now, results, by="b") == now
        zoe, local = now.recipients
        assert local == STATES[1]
        if has_failed:
            assert zoe.status == "failed"
            assert now == before
            assert not any(is_latest(now, each) for each in results)
        has_failed = zoe.is_bounced
        assert not has_failed or zoe.status == "failed"


def test_a_failure_wins_over_a_delay_of_the_same_recipient() -> None:
    event = ReportBounce(
        command_id="b", user_id="ann", domain_id="d1", submission_id="m1", at_ms=9,
        recipients=(
            BouncedRecipient(action="failed", final="x@y.example", original="zo@list.example"),
            BouncedRecipient(action="delayed", final=ZOE, code="4.2.2"),
        ),
    )  # fmt: skip
    (result,) = bounce_results(row(), event)
    assert (result.address, result.status, result.code) == (ZOE, "failed", "5.0.0")
    assert result.detail == "the other server gave no reason"

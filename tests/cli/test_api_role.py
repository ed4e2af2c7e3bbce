"""Role api deletes expired rows, and only while the clock is trusted."""

import pytest

from agents.background.housekeeping import Housekeeping
from cli.roles.api import _prune
from mail.clock import DAY_MS, now_ms
from mail.clock_guard import ClockGuard
from schemas.directory import SignIn
from schemas.ledger import AcceptedMail
from stores.memory import MemoryAttempts, MemoryDirectory, MemoryLedger
from tests.contracts.directory_rows import ANN, session, settle
from tests.edge.deposits.test_uploader import Desk


@pytest.mark.parametrize(
    ("set_ms", "newest_ms", "why"),
    [
        (0, 0, None),
        (2 * DAY_MS, 0, "set ahead by 48.0 h"),
        (-2 * DAY_MS, 0, "set back by 48.0 h"),
        (0, -31 * DAY_MS, "31 days ahead of the newest accepted mail"),
    ],
)
async def test_old_sessions_and_sign_ins_go_unless_the_clock_is_doubted(
    caplog: pytest.LogCaptureFixture, set_ms: int, newest_ms: int, why: str | None
) -> None:
    directory, ledger = MemoryDirectory(), MemoryLedger()
    at_ms = now_ms() + newest_ms
    await ledger.add([AcceptedMail(mail_id="m1", accepted_at_ms=at_ms, user_ids=("ann",))])
    await settle(directory)
    await directory.add_session(session("t", ANN.user_id))  # its end is long over
    await directory.add_sign_in(
        SignIn(
            sign_in_id="s", user_id=ANN.user_id, at_ms=1, outcome="success", peer="", user_agent=""
        )
    )
    moved = [0]
    guard = ClockGuard(now_ms, lambda: now_ms() - moved[0])
    housekeeping = Housekeeping(ledger=ledger, what="sessions", guard=guard)
    moved[0] = set_ms
    desk = Desk(now_ms=now_ms())
    await desk.upload()
    desk.now_ms += 2 * DAY_MS
    for _ in range(2):
        await _prune(directory, MemoryAttempts(), desk.uploader, housekeeping)
    kept = why is not None
    assert (await directory.session("t") is not None) is kept
    assert bool(desk.uploads.rows) is kept
    assert bool(await directory.sign_ins(ANN.user_id, limit=9)) is kept
    assert [why in one for one in housekeeping.warnings()] == [True] * kept
    assert caplog.text.count("not deleted by age") == kept, "once"

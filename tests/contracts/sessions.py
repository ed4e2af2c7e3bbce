"""Contract of the Sessions port. Fixture: `directory`, an empty directory."""

import pytest
from msgspec import structs

from mail.errors import NotFound
from mail.ports import SESSIONS_KEPT
from schemas.directory import Quota, Session
from tests.contracts.directory_rows import (
    ANN,
    session,
    settle,
)


class SessionsContract:
    async def test_a_session_lives_until_it_is_ended(self, directory):
        await settle(directory)
        await directory.add_session(session("t1", "u1"))
        await directory.add_session(session("t2", "u1"))
        assert await directory.session("t1") == session("t1", "u1")
        await directory.end_session("t1")
        await directory.end_session("t1")
        assert await directory.session("t1") is None
        assert await directory.session("t2") == session("t2", "u1")

    async def test_a_session_is_read_with_its_user_as_it_is(self, directory):
        await settle(directory)
        await directory.add_session(session("t1", "u1"))
        for _ in range(2):
            assert await directory.session_and_user("t1") == (session("t1", "u1"), ANN)
        await directory.set_user_quota("u1", Quota(size_bytes=7))
        _, user = await directory.session_and_user("t1")
        assert user.quota == Quota(size_bytes=7)
        await directory.end_session("t1")
        await directory.add_session(session("t2", "u2"))
        assert await directory.session_and_user("t1") is None
        assert (await directory.session_and_user("t2"))[1].user_id == "u2"
        assert await directory.session_and_user("unknown") is None

    async def test_expired_sessions_are_pruned_and_no_others(self, directory):
        await settle(directory)
        lasting = session("t1", "u1")
        ended = Session(token_sha256="t2", user_id="u1", expires_at_ms=lasting.expires_at_ms - 1)
        for each in (lasting, ended):
            await directory.add_session(each)
        assert await directory.prune_sessions(ended.expires_at_ms) == 1
        assert await directory.prune_sessions(ended.expires_at_ms) == 0
        assert await directory.session("t1") == lasting
        assert await directory.session("t2") is None

    async def test_sessions_are_listed_newest_first_with_their_last_use(self, directory):
        await settle(directory)
        made = [
            Session(token_sha256=f"t{n}", user_id="u1", expires_at_ms=99, created_at_ms=n // 2,
                    user_agent="Mail/1.0", peer="192.0.2.7")
            for n in range(4)
        ]  # fmt: skip
        for each in (*made, session("t9", "u2")):
            await directory.add_session(each)
        assert await directory.sessions("u1", limit=3) == [made[2], made[3], made[0]]
        for at_ms in (7, 5):
            await directory.use_session("t3", at_ms=at_ms)
        found = await directory.session("t3")
        assert (found.used_at_ms, found.peer, found.user_agent) == (7, "192.0.2.7", "Mail/1.0")
        await directory.use_session("unknown", at_ms=1)
        assert await directory.session("unknown") is None
        assert await directory.sessions("u9", limit=3) == []

    async def test_nobody_has_no_session(self, directory):
        await settle(directory)
        with pytest.raises(NotFound):
            await directory.add_session(session("t", "u9"))
        assert await directory.session("t") is None

    async def test_a_new_password_ends_the_sessions_of_its_user_alone(self, directory):
        await settle(directory)
        await directory.add_session(session("t1", "u1"))
        await directory.add_session(session("t2", "u2"))
        await directory.set_password("u1", "other")
        found = await directory.user("u1")
        assert found is not None
        assert found.password_hash == "other"
        assert await directory.session("t1") is None
        assert await directory.session("t2") == session("t2", "u2")

    async def test_a_new_password_may_leave_one_session(self, directory):
        await settle(directory)
        for token in ("t1", "t2", "t3"):
            await directory.add_session(session(token, "u1"))
        await directory.set_password("u1", "other", keep_session="t2")
        assert [one.token_sha256 for one in await directory.sessions("u1", limit=9)] == ["t2"]
        assert (await directory.user("u1")).password_hash == "other"

    async def test_ends_of_sessions_are_told_whatever_ended_them(self, directory):
        await settle(directory)
        none, place = await directory.session_ends(None)
        assert none == []
        for token in ("t1", "t2", "t3", "t4", "t5"):
            await directory.add_session(session(token, "u1"))
        await directory.add_session(session("t6", "u2"))
        assert await directory.session_ends(place) == ([], place)
        await directory.end_session("t1")
        await directory.end_session("t1")
        await directory.set_password("u1", "other", keep_session="t5")
        found, place = await directory.session_ends(place)
        assert found[0] == "t1"
        assert sorted(found) == ["t1", "t2", "t3", "t4"]
        await directory.set_disabled("u1", disabled=True)
        found, place = await directory.session_ends(place)
        assert found == ["t5"]
        await directory.prune_sessions(session("t6", "u2").expires_at_ms)
        found, place = await directory.session_ends(place)
        assert found == ["t6"]
        assert await directory.session_ends(place) == ([], place)
        assert (await directory.session_ends(None))[1] == place

    async def test_of_a_user_the_newest_sessions_are_kept(self, directory):
        await settle(directory)
        await directory.add_session(session("of u2", "u2"))
        for number in range(SESSIONS_KEPT + 2):
            row = structs.replace(session(f"t{number}", "u1"), created_at_ms=number)
            await directory.add_session(row)
        found = await directory.sessions("u1", limit=2 * SESSIONS_KEPT)
        assert [one.created_at_ms for one in found] == list(range(SESSIONS_KEPT + 1, 1, -1))
        assert await directory.session("of u2") is not None

    async def test_disabling_ends_sessions_and_is_undone_by_enabling(self, directory):
        await settle(directory)
        await directory.add_session(session("t1", "u1"))
        await directory.add_session(session("t2", "u2"))
        await directory.set_disabled("u1", disabled=True)
        found = await directory.user_by_address("ann.lee@example.org")
        assert found is not None
        assert found.disabled
        assert await directory.session("t1") is None
        assert await directory.session("t2") == session("t2", "u2")
        await directory.set_disabled("u1", disabled=False)
        assert await directory.user("u1") == ANN

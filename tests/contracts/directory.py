"""What every Directory does. Inherit, give a `directory` fixture, and the adapter is held to it."""

import asyncio

import pytest

from mail.errors import AlreadyExists, BadAddress, NotFound
from mail.ports import Directory
from schemas.records import Domain, Session, User

EXAMPLE = Domain(domain_id="d1", name="example.org", created_at_ms=1)


def user(id_: str, address: str, *, domain_id: str = "d1", password_hash: str = "") -> User:
    return User(
        user_id=id_,
        domain_id=domain_id,
        address=address,
        disabled=False,
        created_at_ms=7,
        password_hash=password_hash,
    )


def session(token: str, user_id: str) -> Session:
    return Session(token_sha256=token, user_id=user_id, expires_at_ms=99)


POSTMASTER = user("u0", "postmaster@example.org")
ANN = user("u1", "Ann.Lee@example.org", password_hash="hash")
BOB = user("u2", "bob@example.org")


async def settle(directory: Directory) -> Directory:
    """One domain with postmaster, Ann and Bob."""
    await directory.add_domain(EXAMPLE, POSTMASTER)
    await directory.add_user(ANN)
    await directory.add_user(BOB)
    return directory


class DirectoryContract:
    async def test_an_empty_directory_knows_nobody(self, directory):
        assert await directory.domains() == []
        assert await directory.users() == []
        assert await directory.domain("example.org") is None
        assert await directory.user("u1") is None
        assert await directory.user_by_address("ann@example.org") is None
        assert await directory.session("t") is None
        assert await directory.setting("epoch") is None

    async def test_a_domain_comes_with_its_postmaster(self, directory):
        await directory.add_domain(EXAMPLE, POSTMASTER)
        assert await directory.domains() == [EXAMPLE]
        assert await directory.user_by_address("postmaster@example.org") == POSTMASTER

    async def test_a_domain_is_found_by_every_form_of_its_name(self, directory):
        written = Domain(domain_id="d9", name="BÜCHER.example", created_at_ms=1)
        master = user("u9", "postmaster@bücher.example", domain_id="d9")
        await directory.add_domain(written, master)
        found = await directory.domain("xn--bcher-kva.example")
        assert found == Domain(domain_id="d9", name="xn--bcher-kva.example", created_at_ms=1)
        assert await directory.domain("bücher.EXAMPLE") == found
        assert await directory.domain("bucher.example") is None

    async def test_a_user_is_found_by_every_form_of_the_address_and_shown_as_added(self, directory):
        await settle(directory)
        assert await directory.user_by_address("ann.lee@EXAMPLE.org") == ANN
        assert await directory.user_by_address('"ANN.LEE"@example.org') == ANN
        assert await directory.user("u1") == ANN

    async def test_a_plus_address_is_not_resolved_here(self, directory):
        await settle(directory)
        assert await directory.user_by_address("bob+news@example.org") is None

    async def test_a_domain_exists_once(self, directory):
        await settle(directory)
        again = Domain(domain_id="d2", name="EXAMPLE.ORG", created_at_ms=2)
        with pytest.raises(AlreadyExists):
            await directory.add_domain(again, user("u3", "root@example.org", domain_id="d2"))
        assert await directory.domains() == [EXAMPLE]
        assert await directory.user("u3") is None

    async def test_a_domain_is_not_added_without_its_postmaster(self, directory):
        await settle(directory)
        other = Domain(domain_id="d2", name="example.net", created_at_ms=2)
        with pytest.raises(AlreadyExists):
            await directory.add_domain(other, user("u3", "BOB@example.org", domain_id="d2"))
        assert await directory.domains() == [EXAMPLE]

    async def test_an_address_exists_once(self, directory):
        await settle(directory)
        with pytest.raises(AlreadyExists):
            await directory.add_user(user("u3", "ANN.LEE@example.org"))
        with pytest.raises(AlreadyExists):
            await directory.add_user(user("u1", "else@example.org"))
        assert await directory.user("u3") is None
        assert await directory.user_by_address("else@example.org") is None

    async def test_of_two_who_take_an_address_at_once_one_has_it(self, directory):
        await settle(directory)
        both = [user(f"u{number}", "new@example.org") for number in (7, 8)]
        outcomes = await asyncio.gather(*map(directory.add_user, both), return_exceptions=True)
        assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 1
        won = both[outcomes.index(None)]
        assert await directory.user_by_address("new@example.org") == won

    async def test_a_call_repeated_as_it_was_changes_nothing(self, directory):
        await settle(directory)
        await directory.set_password("u1", "new hash")
        await settle(directory)
        found = await directory.user("u1")
        assert found is not None
        assert found.password_hash == "new hash"
        assert len(await directory.users()) == 3

    async def test_a_user_needs_a_domain_and_an_address(self, directory):
        await settle(directory)
        with pytest.raises(NotFound):
            await directory.add_user(user("u3", "kim@example.net", domain_id="d2"))
        with pytest.raises(BadAddress):
            await directory.add_user(user("u3", "no address"))
        assert await directory.user("u3") is None

    async def test_lists_are_in_order(self, directory):
        await settle(directory)
        second = Domain(domain_id="d0", name="another.org", created_at_ms=1)
        master = user("u5", "postmaster@another.org", domain_id="d0")
        await directory.add_domain(second, master)
        assert await directory.domains() == [second, EXAMPLE]
        assert await directory.users() == [ANN, BOB, master, POSTMASTER]

    async def test_a_session_lives_until_it_is_ended(self, directory):
        await settle(directory)
        await directory.add_session(session("t1", "u1"))
        await directory.add_session(session("t2", "u1"))
        assert await directory.session("t1") == session("t1", "u1")
        await directory.end_session("t1")
        await directory.end_session("t1")
        assert await directory.session("t1") is None
        assert await directory.session("t2") == session("t2", "u1")

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

    async def test_who_is_not_there_cannot_be_changed(self, directory):
        await settle(directory)
        with pytest.raises(NotFound):
            await directory.set_password("u9", "hash")
        with pytest.raises(NotFound):
            await directory.set_disabled("u9", disabled=True)

    async def test_a_setting_is_what_it_was_set_to_last(self, directory):
        await directory.set_setting("epoch:mail.received", "a-1")
        await directory.set_setting("epoch:mail.scanned", "b-1")
        await directory.set_setting("epoch:mail.received", "a-2")
        assert await directory.setting("epoch:mail.received") == "a-2"
        assert await directory.setting("epoch:mail.scanned") == "b-1"

"""What every Directory does. Inherit, give a `directory` fixture, and the adapter is held to it."""

import asyncio
from typing import TypeVar

import pytest
from msgspec import structs

from mail.errors import AlreadyExists, BadAddress, NotFound, Refused
from mail.pagination import PAGE_MAX, ListRows, all_rows
from mail.ports import SESSIONS_KEPT, SIGN_INS_KEPT, Directory
from schemas.directory import Alias, Domain, Quota, Session, SignIn, User

T = TypeVar("T")
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


def leads(address: str, *targets: str, is_group: bool = False) -> Alias:
    return Alias(
        address=address, domain_id="d1", is_group=is_group, targets=targets, created_at_ms=8
    )


def sign_in(number: int, user_id: str, *, at_ms: int = 0, outcome: str = "success") -> SignIn:
    return SignIn(
        sign_in_id=f"s{number:04d}",
        user_id=user_id,
        at_ms=at_ms,
        outcome=outcome,
        peer="192.0.2.7",
        user_agent="Mail/1.0",
    )


POSTMASTER = user("u0", "postmaster@example.org")
ANN = user("u1", "Ann.Lee@example.org", password_hash="hash")
BOB = user("u2", "bob@example.org")


async def settle(directory: Directory) -> Directory:
    """One domain with postmaster, Ann and Bob."""
    await directory.add_domain(EXAMPLE, POSTMASTER)
    await directory.add_user(ANN)
    await directory.add_user(BOB)
    return directory


async def rows(list_rows: ListRows[T], *, limit: int = PAGE_MAX) -> list[T]:
    return [row async for row in all_rows(list_rows, limit=limit)]


class DirectoryContract:
    async def test_an_empty_directory_knows_nobody(self, directory):
        assert await rows(directory.list_domains) == []
        assert await rows(directory.list_users) == []
        assert await directory.domain("example.org") is None
        assert await directory.user("u1") is None
        assert await directory.user_by_address("ann@example.org") is None
        assert await directory.session("t") is None
        assert await directory.setting("epoch") is None

    async def test_a_domain_comes_with_its_postmaster(self, directory):
        await directory.add_domain(EXAMPLE, POSTMASTER)
        assert await rows(directory.list_domains) == [EXAMPLE]
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
        assert await rows(directory.list_domains) == [EXAMPLE]
        assert await directory.user("u3") is None

    async def test_a_domain_is_not_added_without_its_postmaster(self, directory):
        await settle(directory)
        other = Domain(domain_id="d2", name="example.net", created_at_ms=2)
        with pytest.raises(AlreadyExists):
            await directory.add_domain(other, user("u3", "BOB@example.org", domain_id="d2"))
        assert await rows(directory.list_domains) == [EXAMPLE]

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
        assert len(await rows(directory.list_users)) == 3

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
        assert await rows(directory.list_domains) == [second, EXAMPLE]
        assert await rows(directory.list_users) == [ANN, BOB, master, POSTMASTER]

    async def test_pages_hold_every_row_once_and_in_order(self, directory):
        await settle(directory)
        for number in (3, 1, 2):
            domain_id, name = f"d{number + 1}", f"{number}.example.org"
            master = user(f"m{number}", f"postmaster@{name}", domain_id=domain_id)
            domain = Domain(domain_id=domain_id, name=name, created_at_ms=1)
            await directory.add_domain(domain, master)
            await directory.add_alias(leads(f"a{number}@example.org", "bob@example.org"))
        for list_rows in (directory.list_domains, directory.list_users, directory.list_aliases):
            expected = await rows(list_rows)
            for limit in (1, 2, len(expected), len(expected) + 1):
                assert await rows(list_rows, limit=limit) == expected
            assert (await list_rows(limit=len(expected))).cursor is None

    async def test_rows_added_between_pages_cause_no_repeat_and_no_gap(self, directory):
        await settle(directory)
        first = await directory.list_users(limit=1)
        assert first.rows == [ANN]
        await directory.add_user(user("u3", "aaron@example.org"))
        await directory.add_user(user("u4", "carol@example.org"))
        rest = await directory.list_users(cursor=first.cursor, limit=9)
        assert [row.user_id for row in rest.rows] == ["u2", "u4", "u0"]
        assert rest.cursor is None

    async def test_a_page_has_a_limit(self, directory):
        for list_rows in (directory.list_domains, directory.list_users, directory.list_aliases):
            for limit in (0, PAGE_MAX + 1):
                with pytest.raises(Refused):
                    await list_rows(limit=limit)

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

    async def test_sign_ins_are_kept_apart_by_user_newest_first(self, directory):
        made = [sign_in(n, "u1", at_ms=n // 2) for n in range(5)]
        for each in (*made, made[0], sign_in(9, "u2"), sign_in(8, "")):
            await directory.add_sign_in(each)
        first = await directory.sign_ins("u1", limit=2)
        assert first == [made[4], made[3]]
        before = (first[-1].at_ms, first[-1].sign_in_id)
        assert await directory.sign_ins("u1", limit=9, before=before) == made[2::-1]
        assert await directory.sign_ins("", limit=9) == [sign_in(8, "")]
        assert await directory.prune_sign_ins(before_ms=2) == 4 + 2
        assert await directory.sign_ins("u1", limit=9) == [made[4]]

    async def test_sign_ins_are_bounded_for_each_outcome(self, directory):
        many = [sign_in(n, "u1", at_ms=n, outcome="failure") for n in range(SIGN_INS_KEPT + 2)]
        first = sign_in(9_999, "u1", at_ms=0, outcome="success")
        await asyncio.gather(*map(directory.add_sign_in, (first, *many)))
        found = await directory.sign_ins("u1", limit=2 * SIGN_INS_KEPT)
        assert found == [*many[:1:-1], first]

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

    async def test_sources_are_where_a_sign_in_succeeded(self, directory):
        made = [
            structs.replace(sign_in(1, "u1", at_ms=5), device="laptop"),
            structs.replace(sign_in(2, "u1", at_ms=6), device="laptop"),
            structs.replace(sign_in(3, "u1", at_ms=7), peer="192.0.2.8"),
            structs.replace(sign_in(4, "u1", at_ms=7, outcome="failure"), peer="192.0.2.9"),
            structs.replace(sign_in(5, "u1", at_ms=4), peer="192.0.2.10"),
            structs.replace(sign_in(6, "u2", at_ms=7), peer="192.0.2.11"),
        ]
        for each in made:
            await directory.add_sign_in(each)
        found = await directory.sign_in_sources("u1", since_ms=5)
        assert sorted(found) == [("192.0.2.7", "laptop"), ("192.0.2.8", "")]
        assert made[0] in await directory.sign_ins("u1", limit=9)

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

    async def test_settings_are_found_by_what_their_names_begin_with(self, directory):
        for name in ("a:x", "a:y", "a", "b:x", "A:x"):
            await directory.set_setting(name, name * 2)
        assert await directory.settings("a:") == {"a:x": "a:xa:x", "a:y": "a:ya:y"}
        for _ in range(2):
            await directory.remove_setting("a:x")
        assert (await directory.setting("a:x"), await directory.setting("a:y")) == (None, "a:ya:y")
        assert await directory.settings("a:x") == {}

    async def test_a_quota_says_what_it_was_told_last_of_each_part(self, directory):
        await settle(directory)
        await directory.set_user_quota("u1", Quota(size_bytes=5, messages=0))
        await directory.set_domain_quota("d1", Quota(messages=7))
        found = (await directory.find(["ann.lee@example.org"]))["ann.lee@example.org"]
        assert found.quota == Quota(size_bytes=5, messages=0)
        assert (await directory.user("u2")).quota == Quota()
        assert (await directory.domain("example.org")).quota == Quota(messages=7)
        assert (await directory.domain_by_id("d1")).quota == Quota(messages=7)
        await directory.set_user_quota("u1", Quota())
        assert await directory.user("u1") == ANN

    async def test_an_alias_leads_where_it_was_made_to_lead(self, directory):
        await settle(directory)
        news = leads("news@example.org", "bob@example.org")
        await directory.add_alias(news)
        await directory.add_alias(news)
        assert await rows(directory.list_aliases) == [news]
        asked = ["bob@example.org", "news@example.org", "nobody@example.org"]
        assert await directory.find(asked) == {asked[0]: BOB, asked[1]: news}
        assert await directory.find([]) == {}
        with pytest.raises(AlreadyExists):
            await directory.add_alias(leads("news@example.org", "ann.lee@example.org"))
        assert await rows(directory.list_aliases) == [news]

    async def test_a_group_grows_and_shrinks(self, directory):
        await settle(directory)
        await directory.add_alias(leads("all@example.org", "bob@example.org", is_group=True))
        more = leads("all@example.org", "ann.lee@example.org", "bob@example.org", is_group=True)
        await directory.add_alias(more)
        assert await rows(directory.list_aliases) == [more]
        assert await directory.addresses_leading_to("bob@example.org") == ["all@example.org"]
        await directory.remove_target("all@example.org", "bob@example.org")
        assert await directory.addresses_leading_to("bob@example.org") == []
        assert (await rows(directory.list_aliases))[0].targets == ("ann.lee@example.org",)
        for gone in ("all@example.org", "nothing@example.org"):
            with pytest.raises(NotFound):
                await directory.remove_target(gone, "bob@example.org")

    async def test_of_two_who_add_members_at_once_both_have_added(self, directory):
        await settle(directory)
        both = [leads("all@example.org", one, is_group=True) for one in ("a@b.org", "c@d.org")]
        await asyncio.gather(*map(directory.add_alias, both))
        assert (await rows(directory.list_aliases))[0].targets == ("a@b.org", "c@d.org")

    async def test_an_address_is_a_users_or_an_aliass(self, directory):
        await settle(directory)
        await directory.add_alias(leads("all@example.org", "bob@example.org", is_group=True))
        with pytest.raises(AlreadyExists):
            await directory.add_user(user("u3", "ALL@example.org"))
        for taken in ("bob@example.org", "all@example.org"):
            with pytest.raises(AlreadyExists):
                await directory.add_alias(leads(taken, "ann.lee@example.org"))
        with pytest.raises(NotFound):
            await directory.add_alias(
                Alias(
                    address="x@example.net", domain_id="d2", is_group=False,
                    targets=("bob@example.org",), created_at_ms=8,
                )
            )  # fmt: skip
        assert len(await rows(directory.list_aliases)) == 1
        assert await directory.find(["bob@example.org"]) == {"bob@example.org": BOB}

    async def test_a_removed_alias_leaves_nothing_and_its_address_is_free(self, directory):
        await settle(directory)
        await directory.add_alias(leads("all@example.org", "bob@example.org", is_group=True))
        await directory.remove_alias("all@example.org")
        assert await rows(directory.list_aliases) == []
        assert await directory.addresses_leading_to("bob@example.org") == []
        with pytest.raises(NotFound):
            await directory.remove_alias("all@example.org")
        await directory.add_alias(leads("all@example.org", "ann.lee@example.org"))
        assert (await rows(directory.list_aliases))[0].targets == ("ann.lee@example.org",)

    async def test_a_catch_all_leads_from_everything_of_its_domain(self, directory):
        await settle(directory)
        await directory.set_catch_all("d1", "bob@example.org")
        assert (await directory.domain("example.org")).catch_all == "bob@example.org"
        assert await directory.addresses_leading_to("bob@example.org") == ["*@example.org"]
        await directory.set_catch_all("d1", "")
        assert await directory.domain("example.org") == EXAMPLE

    async def test_nobodys_quota_and_catch_all_cannot_be_set(self, directory):
        await settle(directory)
        assert await directory.domain_by_id("d9") is None
        for act in (
            directory.set_user_quota("u9", Quota()),
            directory.set_domain_quota("d9", Quota()),
            directory.set_catch_all("d9", "bob@example.org"),
        ):
            with pytest.raises(NotFound):
                await act

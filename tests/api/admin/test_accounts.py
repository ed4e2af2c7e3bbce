"""Users and domains by the admin API."""

from mail.sending.dkim.keyring import IN_USE
from mail.sending.own_limits import OwnLimits
from tests.api.admin.test_admission import answer
from tests.support.edge_world import PASSWORDS, World

USERS, DOMAINS = "/v1/admin/users", "/v1/admin/domains"


async def test_a_user_is_added_and_listed(world: World) -> None:
    client = await world.operator()
    status, made = await answer(client, "POST", USERS, json={"address": "Carol@postriver.test"})
    assert status == 201
    assert len(made["password"]) > 15
    given = {"address": "dave@postriver.test", "password": "purple otter bicycle"}
    assert (await answer(client, "POST", USERS, json=given))[1]["password"] is None
    assert (await answer(client, "POST", USERS, json=given))[0] == 409
    seen, cursor = [], ""
    while cursor is not None:
        page = (await answer(client, "GET", f"{USERS}?limit=2{cursor}"))[1]
        seen += [row["address"].partition("@")[0] for row in page["users"]]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    assert seen == ["alice", "bob", "carol", "dave", "postmaster"]
    for body, status in (
        ({"address": "x@elsewhere.test"}, 404), ({"address": "no address"}, 400), ({}, 400),
        ({"address": "eve@postriver.test", "password": "short"}, 400),
    ):  # fmt: skip
        assert (await answer(client, "POST", USERS, json=body))[0] == status, body
    assert (await answer(client, "GET", f"{USERS}?cursor=x"))[0] == 400
    noted = str(await world.directory.acts(limit=99))
    assert "purple otter" not in noted
    assert made["password"] not in noted


async def test_a_new_password_ends_the_sessions_of_the_user(world: World) -> None:
    client, bob = await world.operator(), await world.signed("bob")
    status, changed = await answer(client, "POST", f"{USERS}/bob/password", json={})
    assert (status, changed["address"]) == (200, "bob@postriver.test")
    assert (await answer(bob, "GET", "/v1/me"))[0] == 401
    login = {"address": "bob@postriver.test", "password": changed["password"]}
    assert (await answer(world.client(), "POST", "/v1/login", json=login))[0] == 200
    assert changed["password"] not in str(await world.directory.acts(limit=9))
    assert (await answer(client, "POST", f"{USERS}/none/password", json={}))[0] == 404
    own = {"password": PASSWORDS["alice"]}
    assert (await answer(client, "POST", f"{USERS}/alice/password", json=own))[0] == 409


async def test_role_quota_and_limits_are_changed(world: World) -> None:
    client, bob = await world.operator(), await world.signed("bob")
    change = {
        "role": "operator",
        "quota": {"bytes": 5_000_000},
        "limits": {"mails_per_day": 7, "recipients_per_day": 0},
    }
    status, row = await answer(client, "PATCH", f"{USERS}/bob", json=change)
    assert (status, row["role"], row["quota"]["limit_bytes"]) == (200, "operator", 5_000_000)
    assert row["limits"] == {"mails_per_day": 7, "recipients_per_day": 0}
    assert (await answer(bob, "GET", "/v1/admin/acts"))[0] == 200
    reset = {"quota": {"reset": True}, "limits": {"reset": True}, "role": "user"}
    row = (await answer(client, "PATCH", f"{USERS}/bob", json=reset))[1]
    assert (row["role"], row["quota"]["limit_bytes"], row["limits"]) == ("user", None, {})
    assert (await answer(client, "PATCH", f"{USERS}/bob", json={"disabled": True}))[0] == 200
    assert (await answer(bob, "GET", "/v1/me"))[0] == 401
    assert (await answer(client, "GET", f"{USERS}/bob"))[1]["disabled"] is True


async def test_a_bad_change_of_a_user_changes_nothing(world: World) -> None:
    client = await world.operator()
    for id_, body, status in (
        ("bob", {}, 400), ("bob", {"role": "king"}, 400), ("bob", {"quota": {"bytes": -1}}, 400),
        ("bob", {"limits": {"mails_per_year": 1}}, 400), ("bob", {"address": "x"}, 400),
        ("none", {"role": "operator"}, 404), ("alice", {"role": "user"}, 409),
        ("alice", {"disabled": True}, 409),
    ):  # fmt: skip
        assert (await answer(client, "PATCH", f"{USERS}/{id_}", json=body))[0] == status, body
    assert (await answer(client, "GET", f"{USERS}/none"))[0] == 404
    assert await world.directory.acts(limit=1) == []


async def test_a_domain_is_added_with_keys_and_its_records_are_checked(world: World) -> None:
    client, directory = await world.operator(), world.directory
    assert (await answer(client, "POST", DOMAINS, json={"name": "New.test"}))[0] == 201
    for body, status in (({"name": "new.test"}, 409), ({"name": "a b"}, 400), ({}, 400)):
        assert (await answer(client, "POST", DOMAINS, json=body))[0] == status
    names = [row["name"] for row in (await answer(client, "GET", DOMAINS))[1]["domains"]]
    assert names == ["new.test", "postriver.test"]
    domain = await directory.domain("new.test")
    assert domain is not None
    keyrings = world.context.ports.admin.keyrings
    assert len(await keyrings.keys(domain, IN_USE)) == 2
    path = f"{DOMAINS}/new.test/records"
    records = (await answer(client, "GET", path))[1]["records"]
    assert [row["kind"] for row in records] == ["MX", "TXT", "TXT", "TXT", "TXT"]
    assert "fault" not in records[0]
    world.desk.zone.records = {(row["name"], row["kind"]): [row["value"]] for row in records[1:]}
    checked = (await answer(client, "GET", f"{path}?check=true"))[1]["records"]
    assert [bool(row["fault"]) for row in checked] == [True, False, False, False, False]
    assert (await answer(client, "GET", f"{DOMAINS}/none.test/records"))[0] == 404
    assert (await answer(client, "GET", f"{path}?check=perhaps"))[0] == 400


async def test_the_keys_of_a_domain_are_rotated_and_its_limits_set(world: World) -> None:
    client = await world.operator()
    await answer(client, "POST", DOMAINS, json={"name": "new.test"})
    path = f"{DOMAINS}/new.test"
    first = (await answer(client, "GET", path))[1]
    assert first["limits"] == {}
    assert [row["state"] for row in first["keys"]] == ["in use"] * 2
    status, problem = await answer(client, "POST", f"{path}/dkim/activate")
    assert (status, problem["code"]) == (409, "refused")
    rotated = (await answer(client, "POST", f"{path}/dkim/rotate"))[1]
    old, new = rotated["keys"][:2], rotated["keys"][2:]
    assert old == first["keys"]
    assert [(row["algorithm"], row["state"]) for row in new] == [
        ("rsa-sha256", "next"), ("ed25519-sha256", "next"),
    ]  # fmt: skip
    records = (await answer(client, "GET", f"{path}/records"))[1]["records"]
    published = {row["name"].partition(".")[0] for row in records}
    assert {row["selector"] for row in rotated["keys"]} <= published
    active = (await answer(client, "POST", f"{path}/dkim/activate"))[1]
    assert active["keys"] == [row | {"state": "in use"} for row in new]
    limits = {"mails_per_day": 7, "recipients_per_hour": 0}
    assert (await answer(client, "PATCH", path, json={"limits": limits}))[1]["limits"] == limits
    change = {"limits": {"reset": True, "mails_per_hour": 3}}
    changed = (await answer(client, "PATCH", path, json=change))[1]
    assert changed["limits"] == {"mails_per_hour": 3}
    user = {"address": "carol@new.test"}
    user_id = (await answer(client, "POST", USERS, json=user))[1]["id"]
    carol = await world.directory.user(user_id)
    assert carol is not None
    own = OwnLimits(world.directory, world.config.sending_limits)
    assert (await own.of(carol)).hour.mails == 3
    for body in ({}, {"limits": {}}, {"limits": {"mails_per_day": -1}}, {"name": "x.test"}):
        assert (await answer(client, "PATCH", path, json=body))[0] == 400, body
    assert (await answer(client, "PATCH", f"{DOMAINS}/none.test", json=change))[0] == 404

"""Application passwords over HTTP: created once with the account's password, listed, revoked."""

import aiohttp
import pytest
from msgspec import structs

from edge.sign_in.login_client import LoginClient
from mail.ports import APP_PASSWORDS_MAX
from tests.contracts.app_passwords import app_password
from tests.support.edge_world import PASSWORDS, World

PATH = "/v1/me/app-passwords"
RIGHT = PASSWORDS["alice"]
NEW = "a fine new phrase"


async def ask(client: aiohttp.ClientSession, method: str, path: str, json=None) -> tuple[int, dict]:
    async with client.request(method, path, json=json) as response:
        content = await response.read()
        return response.status, await response.json(content_type=None) if content else {}


async def create(client: aiohttp.ClientSession, **fields) -> tuple[int, dict]:
    body = {"name": "Phone", "scopes": ["read"], "password": RIGHT} | fields
    return await ask(client, "POST", PATH, body)


async def sign_in(world: World, secret: str) -> str:
    """Sign in as IMAP will; the name of the application password."""
    client = LoginClient(protocol="imap", peer="192.0.2.7")
    signed_in = await world.context.authenticator.authenticate(
        "alice@postriver.test", secret, client, scope="read"
    )
    assert signed_in.app_password is not None
    return signed_in.app_password.name


async def test_it_is_shown_once_used_listed_and_revoked(world: World) -> None:
    client = await world.signed()
    assert await ask(client, "GET", PATH) == (200, {"app_passwords": []})
    status, made = await create(client, name="  Phone 📱 ", scopes=["send", "read", "read"][:2])
    assert status == 201
    secret = made.pop("password")
    shown = {"last_used_at": None, "last_used_protocol": None, "last_used_network": None}
    assert made["name"] == "Phone 📱"
    assert made["scopes"] == ["read", "send"]
    assert await ask(client, "GET", PATH) == (200, {"app_passwords": [made | shown]})
    assert await sign_in(world, secret) == "Phone 📱"
    _, body = await ask(client, "GET", PATH)
    (used,) = body["app_passwords"]
    assert used["last_used_at"] >= made["created_at"]
    assert (used["last_used_protocol"], used["last_used_network"]) == ("imap", "192.0.2.7")
    assert secret not in str(body)
    assert secret.replace("-", "") not in str(vars(world.directory))
    assert (await ask(client, "DELETE", f"{PATH}/{made['id']}"))[0] == 204
    assert (await ask(client, "DELETE", f"{PATH}/{made['id']}"))[0] == 404
    with pytest.raises(Exception, match="wrong"):
        await sign_in(world, secret)


async def test_it_begins_no_session_and_the_owner_sees_the_attempt(world: World) -> None:
    client = await world.signed()
    _, made = await create(client, scopes=["read", "send"])
    credentials = {"address": "alice@postriver.test", "password": made["password"]}
    status, problem = await ask(world.client(), "POST", "/v1/login", credentials)
    assert (status, problem["code"]) == (401, "wrong_credentials")
    wrong = credentials | {"password": "wrong"}
    assert await ask(world.client(), "POST", "/v1/login", wrong) == (status, problem)
    await sign_in(world, made["password"])
    _, page = await ask(client, "GET", "/v1/me/logins")
    rows = [
        (row["outcome"], row["protocol"], row["app_password"], row["missing_scope"])
        for row in page["logins"]
    ]
    used = {"id": made["id"], "name": "Phone"}
    assert rows == [
        ("success", "imap", used, None), ("failure", "http", None, None),
        ("failure", "http", used, "account"), ("success", "http", None, None),
    ]  # fmt: skip


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
async def test_it_authenticates_no_request_by_itself(world: World, scheme: str) -> None:
    _, made = await create(await world.signed())
    stranger = world.client(Authorization=f"{scheme} {made['password']}")
    assert (await ask(stranger, "GET", "/v1/me"))[0] == 401


async def test_the_accounts_password_is_needed_and_guesses_are_limited(make_world) -> None:
    world = await make_world(login_failures_per_address=3)
    client = await world.signed()
    status, made = await create(client)
    assert status == 201
    for password in ("wrong", made["password"], ""):
        status, problem = await create(client, password=password)
        assert (status, problem["code"]) == (403, "wrong_password")
    assert (await create(client))[0] == 429
    other = await world.signed()
    assert (await create(other))[0] == 201, "the limit is of one session"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"name": ""}, "$.name"),
        ({"name": "x" * 65}, "$.name"),
        ({"name": "x" * 2000}, "$.name"),
        ({"name": "two\nlines"}, "$.name"),
        ({"name": "\u202eevil"}, "$.name"),
        ({"name": 7}, "$.name"),
        ({"scopes": []}, "$.scopes"),
        ({"scopes": ["account"]}, "$.scopes[0]"),
        ({"scopes": ["read", "send", "read"]}, "$.scopes"),
        ({"scopes": "read"}, "$.scopes"),
        ({"password": None}, "$.password"),
        ({"more": 1}, "$"),
    ],
)
async def test_a_hostile_body_is_refused(world: World, fields: dict, place: str) -> None:
    status, problem = await create(await world.signed(), **fields)
    assert (status, problem["place"]) == (400, place)
    assert await world.directory.app_passwords("alice") == []


async def test_there_is_a_limit(world: World) -> None:
    client = await world.signed()
    for number in range(APP_PASSWORDS_MAX):
        await world.directory.add_app_password(app_password(number, "alice"))
    status, problem = await create(client)
    assert (status, problem["code"]) == (409, "refused")
    assert str(APP_PASSWORDS_MAX) in problem["detail"]
    _, page = await ask(client, "GET", PATH)
    assert len(page["app_passwords"]) == APP_PASSWORDS_MAX


@pytest.mark.parametrize("revoke", [True, False])
async def test_a_new_password_keeps_or_revokes_them(world: World, revoke) -> None:
    client = await world.signed()
    _, made = await create(client)
    change = {"old_password": RIGHT, "password": NEW}
    change |= {"revoke_app_passwords": True} if revoke else {}
    assert (await ask(client, "PATCH", "/v1/me", change))[0] == 204
    _, page = await ask(client, "GET", PATH)
    assert [row["id"] for row in page["app_passwords"]] == ([] if revoke else [made["id"]])


async def test_a_password_changed_meanwhile_creates_nothing(world: World) -> None:
    client = await world.signed()
    alice = await world.directory.user("alice")

    def change(step: str) -> None:
        if step == "write":  # the row that was checked against the former hash
            world.directory._users["alice"] = structs.replace(alice, password_hash="another")

    world.directory.fault = change
    status, problem = await create(client)
    assert (status, problem["code"]) == (403, "wrong_password")
    assert (await world.directory.user("alice")).password_hash == "another"
    assert await world.directory.app_passwords("alice") == []


async def test_a_cookie_of_another_sites_page_creates_and_revokes_nothing(world: World) -> None:
    token = await world.token()
    cookie = f"{world.config.cookie(https=False)}={token}"
    page = world.client(Cookie=cookie, Origin="https://evil.test")
    assert (await create(page))[0] == 403
    row = structs.replace(app_password(1, "alice"), app_password_id="0" * 8)
    await world.directory.add_app_password(row)
    assert (await ask(page, "DELETE", f"{PATH}/{row.app_password_id}"))[0] == 403
    assert await world.directory.app_passwords("alice") == [row]

"""Isolation of users: every operation of the API description, tried on another user's data."""

import base64
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from api.config import ApiConfig
from api.openapi import document
from tests.api.rest.test_images import Pictures
from tests.support.edge_world import PASSWORDS, World

PATHS = document(ApiConfig(port=0))["paths"]
EVERY = [
    (method.upper(), path, operation)
    for path, operations in PATHS.items()
    for method, operation in operations.items()
]
ADMIN = [each for each in EVERY if each[1].startswith("/v1/admin/")]  # see the last test
OPERATIONS = [each for each in EVERY if each not in ADMIN]
BODIES = {
    "patch_message": {"unread": False},
    "patch_folder": {"name": "Taken over"},
    "patch_identity": {"name": "Taken over"},
    "put_draft": {"subject": "Taken over"},
}
UNKNOWN = "00000000-0000-4000-8000-000000000000"
MAIL = (
    b"From: kim@elsewhere.test\r\nMessage-ID: <%d.%s@x.test>\r\nIn-Reply-To: <root.%s@x.test>\r\n"
    b"Subject: secret otter of %s\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<img src='https://elsewhere.test/a.png'>\r\n"
    b"--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=a.png\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n%s\r\n--b--\r\n"
)


@dataclass(eq=False)
class Owner:
    """A client of one user, with the id of one resource of each kind."""

    client: aiohttp.ClientSession
    ids: dict[str, str]
    n: int

    def path(self, template: str, id_: str | None = None) -> str:
        kind = template.split("/{id}", maxsplit=1)[0].removeprefix("/v1/")
        return template.replace("{id}", id_ or self.ids.get(kind, "")).replace("{n}", str(self.n))

    async def ask(self, method: str, path: str, json: object = None) -> tuple[int, str]:
        async with self.client.request(method, path, json=json) as response:
            return response.status, await response.text(errors="replace")

    async def get(self, path: str, **params: str) -> dict:
        async with self.client.get(path, params=params) as response:
            assert response.status == 200, await response.text()
            return await response.json()


async def owner(world: World, name: str) -> Owner:
    client, word = await world.signed(name), name.encode()
    await world.signed(name)
    for at in (1, 2):
        mail = MAIL % (at, word, word, word, base64.b64encode(word))
        row = await world.deliver(mail, name=name, at_ms=at)
    await world.deliver(b"Subject: another thread\r\n\r\notter", name=name, at_ms=9)
    async with client.post("/v1/folders", json={"name": f"Of {name}"}) as response:
        folder = (await response.json())["id"]
    new = {"name": f"Phone of {name}", "scopes": ["read"], "password": PASSWORDS[name]}
    async with client.post("/v1/me/app-passwords", json=new) as response:
        app_password = (await response.json())["id"]
    async with client.patch("/v1/me/settings", json={"image_senders": [f"{name}@trusted.test"]}):
        pass
    new = {"address": f"{name}+of@postriver.test", "name": f"Of {name}"}
    async with client.post("/v1/identities", json=new) as response:
        identity = (await response.json())["id"]
    async with client.post("/v1/uploads", data=word) as response:
        upload = (await response.json())["id"]
    for subject in (f"Of {name}", f"Also of {name}"):
        async with client.post("/v1/drafts", json={"subject": subject}) as response:
            draft = (await response.json())["id"]
    for number in (1, 2):
        submission = await world.hold(name, f"{number}.{name}@partner.test")
    batch = {"where": {"folder_id": "inbox"}, "change": {"keywords": {"seen-by-me": True}}}
    async with client.post("/v1/messages/batch", json=batch) as response:
        batch_id = (await response.json())["id"]
    user = Owner(client, {}, 0)
    message = await user.get(f"/v1/messages/{row.message_id}")
    sessions = (await user.get("/v1/sessions"))["sessions"]
    user.n = message["attachments"][0]["n"]
    user.ids = {
        "messages": row.message_id, "threads": row.thread_id, "folders": folder,
        "sessions": sessions[0]["id"], "me/app-passwords": app_password,
        "identities": identity, "uploads": upload, "drafts": draft,
        "submissions": submission, "batches": batch_id,
    }  # fmt: skip
    return user


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World(config=ApiConfig(port=0), images=Pictures())
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def two(world: World) -> tuple[Owner, Owner]:
    return await owner(world, "alice"), await owner(world, "bob")


def secrets_of(someone: Owner, name: str) -> list[str]:
    return [*someone.ids.values(), f"otter of {name}", f"Of {name}", f"Phone of {name}",
            f"{name}@postriver.test", f"{name}@trusted.test", f"{name}@partner.test"]  # fmt: skip


async def test_an_id_of_another_is_as_unknown_as_any(world: World, two) -> None:
    alice, bob = two
    before = await world.store.load("alice")
    for method, template, operation in OPERATIONS:
        if "{id}" not in template:
            continue
        body = BODIES.get(operation["operationId"])
        of_alice = await bob.ask(method, alice.path(template), body)
        assert of_alice[0] == 404, (method, template, of_alice)
        assert of_alice == await bob.ask(method, bob.path(template, UNKNOWN), body)
    assert await world.store.load("alice") == before
    assert (await alice.ask("GET", "/v1/me"))[0] == 200


async def test_ids_of_another_in_a_body_do_nothing(world: World, two) -> None:
    alice, bob = two
    before = await world.store.load("alice")
    message, folder = alice.ids["messages"], alice.ids["folders"]
    for method, path, body in (
        ("PATCH", "/v1/messages", {"ids": [message], "unread": False}),
        ("POST", "/v1/messages/delete", {"ids": [message]}),
    ):
        status, answer = await bob.ask(method, path, body)
        assert (status, answer) == (
            200, f'{{"outcomes":[{{"id":"{message}","outcome":"not_found"}}]}}'
        )  # fmt: skip
    own = f"/v1/messages/{bob.ids['messages']}"
    for method, path, name in (
        ("PATCH", own, "folder_ids"), ("PATCH", own, "add_folder_ids"),
        ("POST", "/v1/folders", "parent_id"),
        ("PATCH", f"/v1/folders/{bob.ids['folders']}", "parent_id"),
    ):  # fmt: skip
        responses = [
            await bob.ask(method, path, {"name": "x", name: id_} if name == "parent_id" else
                          {name: [id_]})
            for id_ in (folder, UNKNOWN)
        ]  # fmt: skip
        assert responses[0][0] == 409
        assert responses[0] == responses[1]
    assert await world.store.load("alice") == before


async def test_a_cursor_of_another_is_no_cursor(world: World, two) -> None:
    alice, bob = two
    templates = set()
    for method, template, operation in OPERATIONS:
        names = {parameter["name"] for parameter in operation["parameters"]}
        if "cursor" not in names:
            continue
        params = {"limit": "1"} | ({"q": "otter"} if "q" in names else {})
        folder = "inbox" if template.startswith("/v1/folders") else None
        cursor = (await alice.get(alice.path(template, folder), **params))["next_cursor"]
        assert cursor, template
        path = bob.path(template, folder)
        query_of_bob = "&".join(f"{name}={value}" for name, value in params.items())
        status, answer = await bob.ask(method, f"{path}?{query_of_bob}&cursor={cursor}")
        assert (status, "bad_cursor" in answer) == (400, True), (template, answer)
        templates.add(template)
    assert len(templates) >= 8


async def test_nothing_that_is_listed_names_another(two) -> None:
    alice, bob = two
    hidden = re.compile("|".join(map(re.escape, secrets_of(alice, "alice"))))
    shown = 0
    for method, template, operation in OPERATIONS:
        if method != "GET" or not operation["security"]:
            continue
        names = {parameter["name"] for parameter in operation["parameters"]}
        status, answer = await bob.ask("GET", bob.path(template) + "?q=otter" * ("q" in names))
        assert status == 200, (template, answer)
        assert not hidden.search(answer), (template, answer)
        shown += bool(re.search("|".join(secrets_of(bob, "bob")), answer))
    assert shown >= 8


async def test_who_is_not_signed_in_learns_nothing(world: World, two) -> None:
    alice, _ = two
    stranger = Owner(world.client(), alice.ids, alice.n)
    for method, template, operation in OPERATIONS:
        if operation["security"]:
            responses = {
                await stranger.ask(method, stranger.path(template, id_)) for id_ in (None, "x")
            }
            assert [status for status, _ in responses] == [401], (method, template)


async def test_operations_of_operators_say_the_same_to_every_user(world: World, two) -> None:
    alice, bob = two
    held = await world.submissions.get(alice.ids["submissions"])
    await world.desk.keep(held.submission_id, "alice")
    stranger = Owner(world.client(), alice.ids, alice.n)
    said: dict[Owner, set[tuple[int, str]]] = {bob: set(), stranger: set()}
    for method, template, _ in ADMIN:
        for id_ in (held.submission_id, UNKNOWN, "alice", "x"):
            path = template.replace("{id}", id_).replace("{action}", "cancel")
            for who, answers in said.items():
                answers.add(await who.ask(method, path.replace("{name}", "postriver.test"), {}))
    assert len(ADMIN) > 5
    assert [[status for status, _ in answers] for answers in said.values()] == [[403], [401]]
    assert await world.directory.acts(limit=1) == []

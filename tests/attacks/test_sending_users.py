"""A user's keys, uploads, drafts, messages and submissions are of no use to another user."""

import json
from typing import Any

import pytest

from tests.attacks.peers import http_request
from tests.support.stack_world import Client, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
TO = {"to": ["carol@far.example"], "text": "hi"}


def request(
    attacked: World, owner: Client, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, dict[str, Any]]:
    fields = [("Authorization", f"Bearer {owner.token}"), *headers.items()]
    status, answer = http_request(attacked, method, path, body=body, headers=fields)
    return status, json.loads(answer) if answer else {}


def post(attacked: World, owner: Client, key: str = "", **fields: Any) -> tuple[int, dict]:
    headers = {"Idempotency-Key": key} if key else {}
    return request(attacked, owner, "POST", "/v1/messages", TO | fields, **headers)


def test_a_key_answers_its_own_user_alone(attacked: World, ann: Client, ben: Client) -> None:
    same = {"subject": "the same request", "undo_s": 60}
    status, of_ann = post(attacked, ann, "one-key", **same)
    assert status == 202
    status, of_ben = post(attacked, ben, "one-key", **same)
    assert (status, of_ben["submission_id"] != of_ann["submission_id"]) == (202, True)
    assert post(attacked, ben, "one-key", **same | {"subject": "another"})[0] == 422
    assert post(attacked, ann, "one-key", **same) == (202, of_ann)
    path = f"/v1/submissions/{of_ann['submission_id']}"
    for method in ("GET", "DELETE"):
        assert request(attacked, ben, method, path)[0] == 404, method
    assert request(attacked, ann, "GET", path)[1]["status"] == "held"
    for owner, answer in ((ann, of_ann), (ben, of_ben)):
        owner.call("DELETE", f"/v1/submissions/{answer['submission_id']}")


def test_what_another_user_has_cannot_be_sent(attacked: World, ann: Client, ben: Client) -> None:
    upload = ann.call("POST", "/v1/uploads", "a secret")
    file = {"content_base64": "YQ==", "filename": "secret.txt"}
    draft = ann.call("POST", "/v1/drafts", {"subject": "secret", "attachments": [file]})
    identity = ann.call("GET", "/v1/identities")["identities"][0]
    mail_id = attacked.send(b"Subject: secret\r\n\r\nhi\r\n", "ann@postriver.test")
    message = eventually(lambda: ann.message_of(mail_id), what="ann's message")
    before = len(ben.call("GET", "/v1/submissions?limit=500")["submissions"])
    for place, fields in {
        "attachments[0].upload_id": {"attachments": [{"upload_id": upload["id"]}]},
        "attachments[0].message_id": {"attachments": [{"message_id": message["id"]}]},
        "attachments[1].message_id": {
            "attachments": [file, {"message_id": draft["message_id"], "n": 1}]
        },
        "draft_id": {"draft_id": draft["id"]},
        "identity_id": {"identity_id": identity["id"]},
        "in_reply_to": {"in_reply_to": message["id"]},
        "forward_of": {"forward_of": message["id"]},
        "quote.message_id": {"quote": {"message_id": message["id"]}},
        "from.address": {"from": "ann@postriver.test"},
    }.items():
        status, problem = post(attacked, ben, **fields)
        assert (status, problem.get("place")) == (422, place), problem
    assert len(ben.call("GET", "/v1/submissions?limit=500")["submissions"]) == before
    for path in (f"/v1/uploads/{upload['id']}", f"/v1/drafts/{draft['id']}"):
        assert request(attacked, ben, "GET", path)[0] == 404, path
        assert request(attacked, ben, "DELETE", path)[0] == 404, path
        assert request(attacked, ann, "GET", path)[0] == 200, path

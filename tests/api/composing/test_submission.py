"""compose_submission: envelope, copies, references, quotations, times."""

from typing import Any

import msgspec
import pytest

from api.composing.author import Author
from api.composing.requests import SubmissionInput
from api.composing.submission import SEND_AT_MAX_DAYS, ComposedSubmission, compose_submission
from mail.clock import DAY_MS, rfc3339
from mail.composing.faults import ComposingFault
from mail.ids import dated_id, new_id
from mail.mime.message_parser import attachment, read_head, read_mail
from schemas.ids import MailId
from schemas.user_settings import SenderIdentity
from tests.api.rest.test_settings import a_command, ask
from tests.support.edge_world import World

AT_MS = 1_700_000_000_000
MAIL_ID = MailId(dated_id(AT_MS, "test"))
ORIGINAL = (
    b"From: =?utf-8?q?B=C3=B6b?= <bob@example.org>\r\nTo: alice@postriver.test\r\n"
    b"Subject: Hello\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <2@example.org>\r\n"
    b"References: <1@example.org>\r\nContent-Type: text/html\r\n\r\n"
    b"<p onclick=x()>Are you there?</p><img src=https://t.example/1.gif>\r\n"
)


async def compose(world: World, **values: Any) -> ComposedSubmission:
    user = await world.directory.user("alice")
    assert user
    body = msgspec.convert({"to": ["bob@example.org"], **values}, SubmissionInput)
    author = Author(context=world.context, user=user)
    return await compose_submission(author, body, mail_id=MAIL_ID, at_ms=AT_MS)


async def fault(world: World, **values: Any) -> ComposingFault:
    with pytest.raises(ComposingFault) as caught:
        await compose(world, **values)
    return caught.value


async def test_envelope_and_copies(world: World) -> None:
    sent = await compose(
        world,
        to=["Bob <bob@example.org>", "bob@EXAMPLE.org"],
        cc=["carol@bücher.example"],
        bcc=["dave@example.org", "BOB@example.org"],
        subject="hi",
    )
    assert sent.envelope_from == "alice@postriver.test"
    assert sent.recipients == (
        "bob@example.org", "carol@xn--bcher-kva.example", "dave@example.org"
    )  # fmt: skip
    assert not sent.needs_smtputf8
    assert sent.own_copy
    assert b"dave" in sent.own_copy
    assert b"dave" not in sent.octets
    assert read_head(sent.octets).message_id == sent.message_id == f"{MAIL_ID}@postriver.test"
    assert (sent.undo_s, sent.send_at_ms) == (10, None)
    assert await compose(
        world,
        to=["Bob <bob@example.org>", "bob@EXAMPLE.org"],
        cc=["carol@bücher.example"],
        bcc=["dave@example.org", "BOB@example.org"],
        subject="hi",
    ) == sent  # fmt: skip
    plain = await compose(world, to=["하늘@example.org"])
    assert plain.needs_smtputf8
    assert plain.own_copy is None


async def test_an_answer_has_references_and_quotes(world: World) -> None:
    row = await world.deliver(ORIGINAL)
    sent = await compose(
        world, html="<p>Yes</p>", in_reply_to=row.message_id, quote={"message_id": row.message_id}
    )
    message = read_mail(sent.octets)
    assert message.head.in_reply_to == ("2@example.org",)
    assert message.head.references == ("1@example.org", "2@example.org")
    assert "Yes\n\nOn 2023-11-14 22:13 (UTC), Böb <bob@example.org> wrote:" in message.text
    assert "> Are you there?" in message.text
    assert message.html
    assert '<blockquote type="cite"><p>Are you there?</p>\n</blockquote>' in message.html
    assert sent.in_reply_to == row.message_id
    text = {"message_id": row.message_id, "kind": "forward", "include": "text"}
    sent = await compose(world, html="<p>Look</p>", forward_of=row.message_id, quote=text)
    html = read_mail(sent.octets).html
    assert html
    assert "<pre>Are you there?" in html
    assert sent.forward_of == row.message_id
    assert read_head(sent.octets).references == ()


async def test_a_quotation_keeps_the_images_of_the_mail(world: World) -> None:
    original = (
        b"From: bob@example.org\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/related; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\nSee <img src=cid:one@x> and <img src=cid:two@x>\r\n"
        b"--b\r\nContent-Type: image/png\r\nContent-ID: <one@x>\r\n\r\n1\r\n"
        b"--b\r\nContent-Type: image/png\r\nContent-ID: <two@x>\r\n\r\n2\r\n"
        b"--b\r\nContent-Type: image/png\r\nContent-ID: <hidden@x>\r\n\r\n3\r\n--b--\r\n"
    )
    row = await world.deliver(original)
    mine = {"content_base64": "eA==", "filename": "x.png", "content_id": "two@x"}
    quote = {"message_id": row.message_id}
    sent = await compose(world, html="<img src=cid:two@x>", quote=quote, attachments=[mine])
    html = read_mail(sent.octets).html
    assert html
    assert 'See <img src="cid:one@x"> and <img src="cid:two@x">' in html
    contents = {
        part.content_id: attachment(sent.octets, part.n)[1]
        for part in read_mail(sent.octets).attachments
    }
    assert contents == {"two@x": b"x", "one@x": b"1"}
    text = await compose(world, text="plain", quote=quote)
    assert read_mail(text.octets).attachments == ()


async def test_the_identity_gives_name_and_reply_to(world: World) -> None:
    identity = SenderIdentity(
        id=new_id(), name="Sales", address="alice+sales@postriver.test", is_default=True,
        reply_to="answers@example.org",
    )  # fmt: skip
    await world.mailboxes.publish(
        a_command(identities=(identity,), language="ko", zone="Asia/Seoul", undo_send_s=0)
    )
    row = await world.deliver(ORIGINAL)
    sent = await compose(world, text="네", quote={"message_id": row.message_id})
    head = read_head(sent.octets)
    assert head.sender
    assert (head.sender.name, sent.envelope_from) == ("Sales", "alice+sales@postriver.test")
    assert [one.address for one in head.reply_to] == ["answers@example.org"]
    assert (
        "2023-11-15 07:13 (UTC+0900), Böb <bob@example.org> 님이 작성:"
        in read_mail(sent.octets).text
    )
    assert sent.undo_s == 0
    explicit = await compose(world, reply_to=["x@example.org"], undo_s=5)
    assert [one.address for one in read_head(explicit.octets).reply_to] == ["x@example.org"]
    assert explicit.undo_s == 5


async def test_a_draft_gives_its_files_and_is_named(world: World) -> None:
    alice = await world.signed()
    file = {"content_base64": "YWJj", "filename": "a.txt"}
    _, draft = await ask(alice, "POST", "/v1/drafts", {"attachments": [file]})
    sent = await compose(world, draft_id=draft["id"], attachments=[{"n": 1}])
    assert sent.draft
    assert sent.draft.message_id == draft["message_id"]
    assert [part.filename for part in read_mail(sent.octets).attachments] == ["a.txt"]
    assert b"X-Postriver" not in sent.octets
    await ask(alice, "DELETE", f"/v1/drafts/{draft['id']}")
    assert (await fault(world, draft_id=draft["id"])).place == "draft_id"


async def test_a_time_to_send(world: World) -> None:
    sent = await compose(world, send_at="2023-11-15T09:00:00+09:00")
    assert sent.send_at_ms == 1_700_006_400_000
    too_late = rfc3339(AT_MS + SEND_AT_MAX_DAYS * DAY_MS + 1)
    for wrong in ("tomorrow", "2023-11-15T09:00:00", "2023-11-14T22:13:20Z", too_late, ""):
        assert (await fault(world, send_at=wrong)).place == "send_at"


async def test_a_mail_needs_a_recipient_and_a_sender_of_ones_own(world: World) -> None:
    assert (await fault(world, to=[])).place == "to"
    assert (await compose(world, to=[], bcc=["bob@example.org"])).recipients
    assert (await fault(world, **{"from": "bob@postriver.test"})).place == "from.address"

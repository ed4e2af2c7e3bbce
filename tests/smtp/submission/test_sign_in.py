"""AUTH: only under TLS, by both mechanisms and ports, and nothing before it."""

import base64
import logging

import pytest

from tests.smtp.server.test_starttls import encrypt, trusting
from tests.smtp.submission.conftest import ALICE, PASSWORD, Rig, hand_in, plain


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_both_ports_offer_auth_over_tls_alone(rig: Rig) -> None:
    await rig.serve()
    client = await rig.dial()
    await client.reply(coded=False)
    in_clear = await client.greet()
    assert "250-STARTTLS" in in_clear
    assert "AUTH" not in in_clear
    assert (await client.ask("AUTH PLAIN")).startswith("538 5.7.11")
    assert (await client.ask(f"MAIL FROM:<{ALICE}>")).startswith("530 5.7.0 begin TLS")
    assert (await client.ask("STARTTLS")).startswith("220")
    await encrypt(client)
    assert "250-AUTH PLAIN LOGIN" in await client.greet()
    implicit = await rig.connect()
    greeting = await implicit.greet()
    for extension in ("DSN", "CHUNKING", "SMTPUTF8", "8BITMIME", "PIPELINING", "AUTH PLAIN LOGIN"):
        assert f"250-{extension}" in greeting
    assert "STARTTLS" not in greeting
    assert (await implicit.ask("STARTTLS")).startswith("503")


@pytest.mark.parametrize("port", ["connect", "encrypted"])
async def test_every_form_of_the_dialogue(rig: Rig, port: str) -> None:
    await rig.serve()
    response = plain(ALICE, PASSWORD)
    for lines in (
        [f"AUTH PLAIN {response}"],
        ["AUTH plain", response],
        ["AUTH LOGIN", b64(ALICE), b64(PASSWORD)],
        [f"AUTH LOGIN {b64(ALICE)}", b64(PASSWORD)],
    ):
        client = await getattr(rig, port)()
        *challenged, last = lines
        for line in challenged:
            assert (await client.ask(line)).startswith("334")
        assert (await client.ask(last)).startswith("235 2.7.0")
        assert (await client.ask(f"AUTH PLAIN {response}")).startswith("503")
        assert (await hand_in(client)).startswith("250 2.0.0")
    assert {submit.user_id for submit in rig.submits} == {"alice"}


async def test_nothing_is_done_before_the_sign_in(rig: Rig) -> None:
    await rig.serve()
    client = await rig.connect()
    for command in (f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{ALICE}>", "DATA", f"MAIL FROM:<{ALICE}>"):
        assert (await client.ask(command)).startswith("530 5.7.0 sign in")
    await client.send(b"BDAT 5 LAST\r\nhello")
    assert (await client.reply()).startswith("530")
    assert rig.publisher.events == []


async def test_faults_of_the_dialogue(rig: Rig) -> None:
    await rig.serve(bad_commands_max=50)
    client = await rig.connect()
    assert (await client.ask("AUTH CRAM-MD5")).startswith("504 5.5.4")
    assert (await client.ask("AUTH")).startswith("501 5.5.4")
    assert (await client.ask("AUTH PLAIN !!")).startswith("501 5.5.2")
    await client.ask("AUTH LOGIN")
    assert (await client.ask("*")).startswith("501 5.7.0")
    await client.ask("AUTH PLAIN")
    assert (await client.ask("x" * 20_000)).startswith("500 5.5.6")
    assert (await client.ask("AUTH PLAIN " + "A" * 12_284)).startswith("501")  # fits the line
    other = base64.b64encode(f"bob@postriver.test\0{ALICE}\0{PASSWORD}".encode()).decode()
    assert (await client.ask(f"AUTH PLAIN {other}")).startswith("535 5.7.8")
    assert rig.hasher.checked == []
    await client.ask("AUTH LOGIN")
    assert (await client.ask("RSET x")).startswith("501")  # a response, not a command


async def test_wrong_passwords_cost_the_same_and_end_the_connection(rig: Rig) -> None:
    await rig.serve()
    client = await rig.connect()
    for address in (ALICE, "nobody@postriver.test"):
        reply = await client.ask(f"AUTH PLAIN {plain(address, 'wrong')}")
        assert reply == "535 5.7.8 address or password is wrong"
    assert len(rig.hasher.checked) == 2
    assert (await client.ask(f"AUTH PLAIN {plain(ALICE, 'wrong')}")).startswith("535")
    assert (await client.reply()).startswith("421 4.7.0")
    answers = []
    for _ in range(4):
        client = await rig.connect()
        answers += [await client.ask(f"AUTH PLAIN {plain(ALICE, 'wrong')}") for _ in range(3)]
        assert (await client.reply()).startswith("421 4.7.0")
    assert answers[-1].startswith("454 4.7.0 too many attempts")  # the limiter of all protocols


async def test_a_client_that_does_nothing_but_ask_is_sent_away(rig: Rig) -> None:
    await rig.serve(chatter_max=20)
    stranger, user = await rig.connect(), await rig.signed()
    for client in (stranger, user):
        replies = [await client.ask("MAIL FROM:<x@y.example>") for _ in range(21)]
        while not replies[-1].startswith("421"):
            replies.append(await client.reply())
        assert len(replies) <= 22


async def test_application_passwords_need_the_scope_send(rig: Rig) -> None:
    await rig.serve()
    client = await rig.connect()
    secret = await rig.app_password("read")
    assert (await client.ask(f"AUTH PLAIN {plain(ALICE, secret)}")).startswith("535")
    secret = await rig.app_password("send")
    assert (await client.ask(f"AUTH PLAIN {plain(ALICE, secret)}")).startswith("235")
    assert (await hand_in(client)).startswith("250")
    (row,) = [each for each in await rig.directory.app_passwords("alice") if "send" in each.scopes]
    await rig.directory.revoke_app_password("alice", row.app_password_id)
    assert (await client.ask(f"MAIL FROM:<{ALICE}>")).startswith("421 4.7.0")


async def test_a_dialogue_that_was_begun_in_clear_is_forgotten(rig: Rig) -> None:
    await rig.serve()
    client = await rig.dial()
    await client.reply(coded=False)
    await client.greet()
    evil = f"AUTH PLAIN {plain(ALICE, PASSWORD)}\r\nMAIL FROM:<{ALICE}>\r\n"
    await client.send(f"STARTTLS\r\n{evil}".encode())
    assert (await client.reply()).startswith("220")
    await encrypt(client)
    assert (await client.ask("NOOP")).startswith("250")
    await client.greet()
    assert (await client.ask(f"MAIL FROM:<{ALICE}>")).startswith("530")
    assert rig.hasher.checked == []


async def test_passwords_are_in_no_log(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await rig.serve()
    client = await rig.connect()
    await client.ask("AUTH LOGIN")
    await client.ask(b64(ALICE))
    await client.ask(b64("a wrong secret"))
    await client.ask(f"AUTH PLAIN {plain(ALICE, PASSWORD)}")
    await hand_in(client)
    for secret in ("a wrong secret", b64("a wrong secret"), PASSWORD, plain(ALICE, PASSWORD)):
        assert secret not in caplog.text


async def test_a_trusting_client_sees_the_certificate_of_the_settings(rig: Rig) -> None:
    await rig.serve()
    client = await rig.dial(tls=trusting())
    assert client.writer.get_extra_info("ssl_object") is not None
    assert (await client.reply(coded=False)).startswith("220")
    assert rig.server.stats.tls_total == 1

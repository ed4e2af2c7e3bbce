"""The SMTP transport passes the contract, and chooses hosts and recipients by RFC 5321 §5.1."""

import asyncio

import pytest

from mail.ports.mail_transport import ForwardPath, Smarthost
from mail.ports.mx_resolver import Unroutable
from resolving.memory import MemoryMxResolver
from tests.contracts.mail_transport import CONTENT, MailTransportContract, transmission
from tests.smtp.client.conftest import HOST, host
from tests.support.smtp_peer import EXTENSIONS, HANG, NORMAL
from tests.support.waiting import until


class ContractPeer:
    def __init__(self, peer, transport):
        self.peer, self.transport = peer, transport
        self.received = peer.received

    def refuse(self, address, code):
        self.peer.refused[address] = f"{code} {code // 100}.1.1 refused"

    def lose_answer(self):
        async def lose(connection):
            connection.writer.transport.abort()

        self.peer.actions["DOT"] = lose


class TestSmtpTransport(MailTransportContract):
    @pytest.fixture
    async def peer(self, world):
        peer = await world.peer()
        return ContractPeer(peer, world.transport(peer, block_s=20.0, final_dot_s=20.0))


async def one(transport, content: bytes = CONTENT, **fields):
    (outcome,) = await transport.send(transmission(content, **fields))
    return outcome


# hosts


@pytest.mark.parametrize(("permanent", "kind"), [(True, "failed"), (False, "deferred")])
async def test_a_domain_without_a_route_is_an_outcome(world, permanent, kind):
    status = f"{5 if permanent else 4}.4.3"
    found = Unroutable(permanent=permanent, status=status, text="because")
    transport = world.transport(
        await world.peer(), resolver=MemoryMxResolver({"there.test": found})
    )
    outcome = await one(transport)
    assert (outcome.kind, outcome.phase, outcome.status, outcome.text) == (
        kind, "resolve", status, "because",
    )  # fmt: skip


async def test_the_next_host_is_tried_when_a_host_does_not_answer(world):
    peer = await world.peer()
    hosts = (host("dead.test", "127.0.0.9", preference=1), host(HOST, preference=2))
    outcome = await one(world.transport(peer, hosts=hosts))
    assert (outcome.kind, outcome.server_name, outcome.server_address) == (
        "relayed", HOST, "127.0.0.1",
    )  # fmt: skip


async def test_every_address_of_a_host_is_tried(world):
    hosts = (host(HOST, "127.0.0.8", "::1", "127.0.0.9", "127.0.0.1"),)
    outcome = await one(world.transport(await world.peer(), hosts=hosts))
    assert outcome.kind == "relayed"


async def test_addresses_that_are_tried_are_bounded(world):
    hosts = (host(HOST, "127.0.0.8", "127.0.0.9", "127.0.0.1"),)
    outcome = await one(world.transport(await world.peer(), hosts=hosts, addresses_max=2))
    assert (outcome.kind, outcome.phase, outcome.status) == ("deferred", "connect", "4.4.1")
    assert outcome.server_address == "127.0.0.9"


async def test_recipients_that_one_host_defers_are_taken_by_the_next(world):
    """Greylisting by one host; the recipient that was accepted is not sent twice."""
    peer = await world.peer()
    peer.actions["RCPT"] = ["250 2.1.5 fine", "450 4.2.0 greylisted", "250 2.1.5 fine"]
    hosts = (host("a.test", "127.0.0.1"), host("b.test", "127.0.0.1"))
    outcomes = await world.transport(peer, hosts=hosts).send(
        transmission(CONTENT, "one@there.test", "two@there.test")
    )
    assert [(each.kind, each.server_name) for each in outcomes] == [
        ("relayed", "a.test"), ("relayed", "b.test"),
    ]  # fmt: skip
    assert peer.connections == 2
    rcpts = [line for line in peer.lines if line.startswith("RCPT")]
    assert [line[8:12] for line in rcpts] == ["<one", "<two", "<two"]


async def test_sessions_are_bounded_and_the_reply_is_kept(world):
    peer = await world.peer(refused={"b@there.test": "450 4.2.0 greylisted"})
    hosts = tuple(host(f"{n}.test") for n in range(4))
    outcome = await one(world.transport(peer, hosts=hosts))
    assert (outcome.kind, outcome.code, outcome.text) == ("deferred", 450, "4.2.0 greylisted")
    assert peer.connections == 2


async def test_a_reply_says_more_than_silence(world):
    peer = await world.peer(refused={"b@there.test": "450 4.2.0 greylisted"})
    hosts = (host("a.test"), host("dead.test", "127.0.0.9"))
    outcome = await one(world.transport(peer, hosts=hosts))
    assert (outcome.code, outcome.server_name) == (450, "a.test")


async def test_a_permanent_refusal_is_not_asked_for_twice(world):
    peer = await world.peer(refused={"b@there.test": "550 5.1.1 unknown"})
    outcome = await one(world.transport(peer, hosts=(host("a.test"), host("b.test"))))
    assert (outcome.kind, outcome.code, outcome.status) == ("failed", 550, "5.1.1")
    assert peer.connections == 1


async def test_a_mail_in_doubt_is_not_given_to_the_next_host(world):
    peer = await world.peer(actions={"DOT": HANG})
    outcome = await one(world.transport(peer, hosts=(host("a.test"), host("b.test"))))
    assert outcome.in_doubt
    assert (peer.connections, len(peer.received)) == (1, 1)


@pytest.mark.parametrize("order", [(521, 220), (220, 521)])
async def test_a_host_without_mail_service_decides_nothing_alone(world, order):
    """RFC 7504: 521 is final for the host, and for the mail if no other host may take it."""
    peer = await world.peer(refused={"b@there.test": "450 4.2.0 later"})
    peer.actions["GREETING"] = [f"{code} 5.3.2 peer.test" for code in order]
    outcome = await one(world.transport(peer, hosts=(host("a.test"), host("b.test"))))
    assert (outcome.kind, outcome.code) == ("deferred", 450)
    peer.actions["GREETING"] = "521 peer.test takes no mail"
    outcome = await one(world.transport(peer, hosts=(host("a.test"), host("b.test"))))
    assert (outcome.kind, outcome.phase, outcome.status) == ("failed", "greeting", "5.3.2")


# recipients and parameters


async def test_recipients_beyond_the_limit_of_the_peer_get_another_transaction(world):
    peer = await world.peer(recipients_max=40)
    names = [f"r{n}@there.test" for n in range(100)]
    outcomes = await world.transport(peer).send(transmission(CONTENT, *names))
    assert {each.kind for each in outcomes} == {"relayed"}
    assert [len(mail.recipients) for mail in peer.received] == [40, 40, 20]
    assert sorted(sum((mail.recipients for mail in peer.received), ())) == sorted(names)
    assert peer.connections == 1


async def test_a_peer_that_takes_no_recipient_is_not_asked_again_and_again(world):
    peer = await world.peer(recipients_max=0)
    outcomes = await world.transport(peer).send(
        transmission(CONTENT, "a@there.test", "b@there.test")
    )
    assert [(each.kind, each.code) for each in outcomes] == [("deferred", 452)] * 2
    assert peer.verbs().count("MAIL") == 1


@pytest.mark.parametrize("address", ["", "no-at", "a b@there.test", "a@there.test>\r\nRSET", "a@-"])
async def test_text_that_is_no_address_fails_without_a_connection(world, address):
    peer = await world.peer()
    transport = world.transport(peer)
    outcomes = await transport.send(transmission(CONTENT, "b@there.test", address))
    assert [(each.kind, each.phase, each.status) for each in outcomes][1] == (
        "failed", "local", "5.1.3",
    )  # fmt: skip
    assert outcomes[0].kind == "relayed"
    if address:
        outcome = await one(transport, reverse_path=address)
        assert (outcome.kind, outcome.status) == ("failed", "5.1.7")
    assert peer.verbs().count("MAIL") == 1


async def test_a_repeated_recipient_is_sent_once(world):
    peer = await world.peer()
    outcomes = await world.transport(peer).send(
        transmission(CONTENT, "b@there.test", "b@there.test")
    )
    assert [each.kind for each in outcomes] == ["relayed", "relayed"]
    assert peer.received[0].recipients == ("b@there.test",)


DSN = {
    "recipients": (
        ForwardPath(
            address="b@there.test", notify=("SUCCESS", "DELAY"), orcpt="rfc822;b+x=1@there.test"
        ),
    ),
    "envid": "id 1+",
    "ret": "HDRS",
}


async def test_parameters_are_sent_to_a_peer_that_offers_them(world):
    peer = await world.peer()
    outcome = await one(world.transport(peer), eight_bit=True, **DSN)
    assert outcome.dsn_requested
    size = len(CONTENT)
    assert (
        f"MAIL FROM:<a@here.test> SIZE={size} BODY=8BITMIME RET=HDRS ENVID=id+201+2B" in peer.lines
    )
    assert (
        "RCPT TO:<b@there.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bx+3D1@there.test"
        in peer.lines
    )


@pytest.mark.parametrize("actions", [{}, {"EHLO": "502 5.5.1 what?"}])
async def test_no_parameter_is_sent_to_a_peer_that_offers_none(world, actions):
    peer = await world.peer(actions=actions, extensions=())
    outcome = await one(world.transport(peer), **DSN)
    assert (outcome.kind, outcome.dsn_requested) == ("relayed", False)
    assert {"MAIL FROM:<a@here.test>", "RCPT TO:<b@there.test>"} <= set(peer.lines)
    assert ("HELO us.test" in peer.lines) == bool(actions)


async def test_parameters_cannot_carry_another_parameter(world):
    peer = await world.peer()
    bad = ForwardPath(address="b@there.test", notify=("NEVER BODY=X",), orcpt="x NOTIFY=NEVER;b")
    await one(world.transport(peer), recipients=(bad,), envid="a\r\nRSET")
    assert "RCPT TO:<b@there.test>" in peer.lines
    assert any(line.endswith(" ENVID=a+0D+0ARSET") for line in peer.lines)


@pytest.mark.parametrize(
    ("missing", "fields", "status"),
    [
        ("8BITMIME", {"eight_bit": True}, "5.6.3"),
        ("SMTPUTF8", {"smtputf8": True}, "5.6.7"),
        ("SMTPUTF8", {"reverse_path": "grüße@here.test"}, "5.6.7"),
        ("SMTPUTF8", {"recipients": (ForwardPath(address="grüße@there.test"),)}, "5.6.7"),
        ("SIZE 10485760", {"size_bytes": 10485761}, "5.3.4"),
    ],
)
async def test_a_mail_that_a_peer_cannot_take_fails(world, missing, fields, status):
    offered = EXTENSIONS if missing.startswith("SIZE") else set(EXTENSIONS) - {missing}
    peer = await world.peer(extensions=tuple(offered))
    outcome = await one(world.transport(peer), **fields)
    assert (outcome.kind, outcome.code, outcome.status) == ("failed", 0, status)
    assert "MAIL" not in peer.verbs()


async def test_a_peer_that_refused_ehlo_may_offer_more_later(world):
    peer = await world.peer(actions={"EHLO": "500 5.5.1 busy"})
    outcome = await one(world.transport(peer), eight_bit=True)
    assert (outcome.kind, outcome.status) == ("deferred", "4.6.3")


async def test_addresses_beyond_ascii(world):
    peer = await world.peer()
    transport = world.transport(peer)
    await one(transport, recipients=(ForwardPath(address="grüße@bücher.test"),))
    assert "RCPT TO:<grüße@bücher.test>" in peer.lines
    assert any(line.endswith("BODY=8BITMIME SMTPUTF8") for line in peer.lines)
    peer.lines.clear()
    await one(transport, recipients=(ForwardPath(address="post@bücher.test"),))
    assert "RCPT TO:<post@xn--bcher-kva.test>" in peer.lines
    assert not any("SMTPUTF8" in line for line in peer.lines)


async def test_the_null_reverse_path(world):
    peer = await world.peer()
    assert (await one(world.transport(peer), reverse_path="")).kind == "relayed"
    assert peer.received[0].reverse_path == ""


# sessions


async def test_a_session_is_kept_for_the_next_mail(world):
    peer = await world.peer()
    transport = world.transport(peer)
    for _ in range(5):
        assert (await one(transport)).kind == "relayed"
    assert (peer.connections, len(peer.received)) == (1, 5)
    assert (transport.stats.opened_total, transport.stats.reused_total) == (1, 4)
    await transport.close()
    assert peer.lines[-1] == "QUIT"


async def test_a_session_ends_after_its_time_or_its_last_transaction(world):
    peer = await world.peer()
    transport = world.transport(peer, transactions_max=2, idle_s=0.2)
    for _ in range(4):
        await one(transport)
    await until(lambda: peer.verbs().count("QUIT") == 2)
    assert peer.connections == 2
    await one(transport)
    await until(lambda: peer.verbs().count("QUIT") == 3)
    await until(lambda: peer.open_now == 0)


@pytest.mark.parametrize("fault", ["421 4.3.2 bye", HANG, b""])
async def test_a_kept_session_that_has_ended_is_replaced(world, fault):
    peer = await world.peer(actions={"RSET": fault})
    transport = world.transport(peer)
    for _ in range(2):
        assert (await one(transport)).kind == "relayed"
    assert (peer.connections, len(peer.received)) == (2, 2)


async def test_a_session_that_the_peer_closed_is_not_used(world):
    async def take_and_close(connection):
        connection.writer.write(b"250 2.0.0 taken\r\n")
        await connection.writer.drain()
        await asyncio.sleep(0.05)
        connection.writer.write(b"421 4.4.2 idle\r\n")
        connection.writer.close()

    peer = await world.peer(actions={"DOT": take_and_close})
    transport = world.transport(peer)
    for _ in range(2):
        assert (await one(transport)).kind == "relayed"
        await asyncio.sleep(0.15)
    assert (peer.connections, len(peer.received)) == (2, 2)


async def test_a_kept_session_that_refuses_mail_is_replaced(world):
    refusal = "550 5.7.0 enough for one session"
    peer = await world.peer(actions={"MAIL": [NORMAL, refusal, NORMAL]})
    transport = world.transport(peer)
    for _ in range(2):
        assert (await one(transport)).kind == "relayed"
    assert peer.connections == 2


async def test_connections_at_once_are_limited(world):
    async def slowly(connection):
        await asyncio.sleep(0.05)
        connection.writer.write(b"250 2.0.0 taken\r\n")

    peer = await world.peer(actions={"DOT": slowly})
    transport = world.transport(peer, connections_per_domain_max=3, slot_wait_s=20.0)
    outcomes = await asyncio.gather(*(one(transport) for _ in range(20)))
    assert {each.kind for each in outcomes} == {"relayed"}
    assert peer.open_most == 3
    assert len(transport._of_domain) == len(transport._of_host) == len(transport._of_all) == 0


async def test_waiting_for_a_connection_ends(world):
    peer = await world.peer(actions={"GREETING": HANG})
    transport = world.transport(peer, connections_per_host_max=1, greeting_s=1.0, slot_wait_s=0.1)
    outcomes = await asyncio.gather(*(one(transport) for _ in range(3)))
    assert sorted(each.status for each in outcomes) == ["4.4.2", "4.4.5", "4.4.5"]


@pytest.mark.parametrize("step", ["GREETING", "RCPT", "DOT"])
async def test_a_cancelled_transmission_leaves_nothing_behind(world, step):
    peer = await world.peer(actions={step: HANG})
    transport = world.transport(peer, greeting_s=30, command_s=30, final_dot_s=30)
    task = asyncio.create_task(one(transport))
    await until(lambda: len(peer.lines) >= {"GREETING": 0, "RCPT": 3, "DOT": 4}[step])
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(transport._of_all) == 0
    assert transport._pool.idle_count == 0


# smarthost


async def test_mail_to_every_domain_goes_through_a_smarthost(world):
    peer = await world.peer()
    transport = world.transport(peer)
    smarthost = Smarthost(host=HOST, port=peer.port)
    outcome = await one(transport, domain="elsewhere.test", smarthost=smarthost)
    assert (outcome.kind, outcome.server_name) == ("relayed", HOST)


async def test_a_smarthost_without_an_address_defers(world):
    transport = world.transport(await world.peer())
    outcome = await one(transport, smarthost=Smarthost(host="absent.test"))
    assert (outcome.kind, outcome.phase, outcome.status) == ("deferred", "resolve", "4.1.2")

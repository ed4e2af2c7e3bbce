"""STARTTLS as far as the peer lets us, verified TLS where required, and AUTH under it only."""

import base64

import pytest

from mail.ports.mail_transport import Smarthost
from tests.smtp.client.conftest import HOST
from tests.smtp.client.test_transport import one
from tests.support.smtp_peer import DROP, HANG

REQUIRED = {"tls_required": frozenset({"there.test"})}


async def test_a_mail_is_encrypted_where_the_peer_offers_it(world):
    tls, _ = world.certificate("some-other-name.test")
    peer = await world.peer(tls=tls)
    outcome = await one(world.transport(peer))
    assert outcome.kind == "relayed"
    assert outcome.tls.startswith("TLSv1.")
    assert not outcome.tls_verified
    assert peer.received[0].encrypted
    assert peer.verbs().count("EHLO") == 2


async def test_extensions_before_tls_do_not_count(world):
    tls, _ = world.certificate()
    peer = await world.peer(tls=tls, extensions=("SIZE 1",))
    peer.actions["EHLO"] = ["250-x\r\n250-STARTTLS\r\n250 SIZE 1", "250 x"]
    assert (await one(world.transport(peer))).kind == "relayed"


@pytest.mark.parametrize("reply", ["454 4.7.0 no", "501 5.5.4 no", "354 what"])
async def test_a_refused_starttls_leaves_a_session_in_clear(world, reply):
    peer = await world.peer(actions={"STARTTLS": reply}, extensions=("STARTTLS",))
    outcome = await one(world.transport(peer))
    assert (outcome.kind, outcome.tls) == ("relayed", "")
    assert peer.connections == 1


@pytest.mark.parametrize(
    "fault", [b"220 go\r\nthis is no TLS record at all, but text\r\n", b"220 go\r\n", DROP, HANG]
)
async def test_a_broken_tls_falls_back_to_a_second_connection_in_clear(world, fault):
    peer = await world.peer(actions={"STARTTLS": fault}, extensions=("STARTTLS", "PIPELINING"))
    outcome = await one(world.transport(peer))
    if fault in {DROP, HANG}:
        assert (outcome.kind, outcome.phase) == ("deferred", "tls")
    else:
        assert (outcome.kind, outcome.tls) == ("relayed", "")
        assert peer.connections == 2


async def test_replies_injected_before_tls_are_dropped(world):
    """The octets after 220 come from the network, not from the peer (CVE-2011-0411)."""
    tls, ca_file = world.certificate()

    async def inject(connection):
        connection.writer.write(b"220 go\r\n250-evil\r\n250 SIZE 1\r\n")
        await connection.writer.start_tls(tls)
        connection.reader._transport = connection.writer.transport
        connection.encrypted = True

    peer = await world.peer(tls=tls, actions={"STARTTLS": inject})
    outcome = await one(world.transport(peer, ca_file=ca_file, **REQUIRED))
    assert (outcome.kind, outcome.tls_verified) == ("relayed", True)
    assert peer.connections == 1


async def test_required_tls_with_a_valid_certificate(world):
    tls, ca_file = world.certificate()
    peer = await world.peer(tls=tls)
    outcome = await one(world.transport(peer, ca_file=ca_file, **REQUIRED), domain="There.TEST")
    assert (outcome.kind, outcome.tls_verified) == ("relayed", True)


@pytest.mark.parametrize("case", ["name", "untrusted", "stripped", "refused", "broken"])
async def test_required_tls_defers_and_never_sends_in_clear(world, case):
    tls, ca_file = world.certificate("wrong.test" if case == "name" else HOST)
    settings = dict(REQUIRED) if case == "untrusted" else {**REQUIRED, "ca_file": ca_file}
    peer = await world.peer(tls=None if case == "stripped" else tls)
    if case in {"refused", "broken"}:
        peer.actions["STARTTLS"] = "454 4.7.0 no" if case == "refused" else b"220 go\r\njunk\r\n"
    outcome = await one(world.transport(peer, **settings))
    assert (outcome.kind, outcome.phase, outcome.status) == ("deferred", "tls", "4.7.0")
    assert outcome.text.isprintable()
    assert (peer.connections, peer.received) == (1, [])
    assert "MAIL" not in peer.verbs()


async def test_a_session_in_clear_is_not_used_where_tls_is_required(world):
    tls, ca_file = world.certificate()
    peer = await world.peer(tls=tls, actions={"STARTTLS": ["454 4.7.0 not now", "220 go ahead"]})
    clear = world.transport(peer, ca_file=ca_file, **REQUIRED)
    assert (await one(clear, domain="other.test")).phase == "resolve"
    opportunistic = world.transport(peer)
    assert (await one(opportunistic)).tls == ""
    assert opportunistic._pool.idle_count == 1


# AUTH

SECRET = {"username": "us", "password": "p%ss wörd"}


@pytest.fixture
def smarthost_world(world):
    async def make(*, trusted: bool = True, implicit_tls: bool = False, **fields):
        tls, ca_file = world.certificate()
        peer = await world.peer(tls=tls, implicit_tls=implicit_tls, **fields)
        transport = world.transport(peer, **({"ca_file": ca_file} if trusted else {}))
        return peer, transport, Smarthost(
            host=HOST, port=peer.port, implicit_tls=implicit_tls, **SECRET
        )  # fmt: skip

    return make


@pytest.mark.parametrize("implicit_tls", [False, True])
@pytest.mark.parametrize("mechanism", ["PLAIN LOGIN", "LOGIN"])
async def test_a_smarthost_gets_credentials_under_verified_tls(
    smarthost_world, mechanism, implicit_tls
):
    peer, transport, smarthost = await smarthost_world(
        extensions=(f"AUTH {mechanism}", "PIPELINING"), implicit_tls=implicit_tls
    )
    for _ in range(2):
        outcome = await one(transport, domain="any.test", smarthost=smarthost)
        assert (outcome.kind, outcome.tls_verified) == ("relayed", True)
    assert peer.connections == 1
    login = [base64.b64encode(SECRET[each].encode()).decode() for each in ("username", "password")]
    plain = base64.b64encode("\0{username}\0{password}".format(**SECRET).encode()).decode()
    expected = [f"AUTH PLAIN {plain}"] if "PLAIN" in mechanism else ["AUTH LOGIN", *login]
    start = peer.lines.index(expected[0])
    assert peer.lines[start : start + len(expected)] == expected


@pytest.mark.parametrize("case", ["untrusted", "stripped", "no AUTH", "535"])
async def test_credentials_that_cannot_be_used_defer(smarthost_world, case):
    extensions = () if case == "no AUTH" else ("AUTH PLAIN",)
    actions = {"AUTH": "535 5.7.8 wrong password"} if case == "535" else {}
    peer, transport, smarthost = await smarthost_world(
        trusted=case != "untrusted", extensions=extensions, actions=actions
    )
    if case == "stripped":
        peer.tls = None
    outcome = await one(transport, smarthost=smarthost)
    assert outcome.kind == "deferred"
    assert outcome.phase == ("auth" if case in {"no AUTH", "535"} else "tls")
    assert ("AUTH" in peer.verbs()) == (case == "535")
    assert peer.received == []


def test_a_password_is_not_printed():
    assert "p%ss" not in repr(Smarthost(host="x", **SECRET))

"""The PROXY protocol: a trusted proxy must send a header, and no other peer can."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.proxy_protocol import BadProxyHeader, parse_v1, parse_v2
from edge.trusted_networks import Networks
from tests.support.waiting import until

LOCALHOST = Networks.parse("127.0.0.0/8")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack("!H", len(body)) + body


IPV4 = v2(1, 0x11, bytes([192, 0, 2, 7, 192, 0, 2, 1]) + struct.pack("!HH", 5, 25))
IPV6 = v2(
    1, 0x21, ipaddress.IPv6Address("2001:db8::7").packed + bytes(16) + bytes(4) + b"\x04\0\x01x"
)


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 25\r\n", "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 56324 25\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"PROXY UNKNOWN ff:ff ff:ff 1 2\r\n", "127.0.0.1"),
        (IPV4, "192.0.2.7"),
        (IPV6, "2001:db8::7"),
        (v2(0, 0, b""), "127.0.0.1"),
        (v2(0, 0x11, bytes(12)), "127.0.0.1"),
        (v2(1, 0, b"anything"), "127.0.0.1"),
    ],
)
async def test_the_header_names_the_client(rig, header, client):
    await rig.serve(proxies=LOCALHOST)
    smtp = await rig.dial()
    await smtp.send(header)
    assert (await smtp.reply(coded=False)).startswith("220 ")
    assert (await smtp.send_mail(b"Subject: x\r\n\r\n.\r\n")).startswith("250 ")
    (mail,) = rig.mails()
    assert mail.envelope.client == client
    literal = f"[IPv6:{client}]" if ":" in client else f"[{client}]"
    assert f"Received: from client.example ({literal})".encode() in mail.content.data


async def test_header_and_commands_in_one_piece_or_byte_by_byte(rig):
    await rig.serve(proxies=LOCALHOST)
    smtp = await rig.dial()
    await smtp.send(IPV4 + b"EHLO x\r\n")
    assert (await smtp.reply(coded=False)).startswith("220 ")
    assert (await smtp.reply(coded=False)).startswith("250-")
    slow = await rig.dial()
    for byte in b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n":
        await slow.send(bytes([byte]))
    assert (await slow.reply(coded=False)).startswith("220 ")


@pytest.mark.parametrize(
    "header",
    [
        b"EHLO client.example\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 56324\r\n",
        b"PROXY TCP4 192.0.2.7  192.0.2.1 56324 25\r\n",
        b"PROXY TCP4 2001:db8::7 192.0.2.1 1 25\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 1 65536\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 1 \xb2\r\n",
        b"PROXY UDP4 192.0.2.7 192.0.2.1 1 25\r\n",
        b"PROXY TCP4 " + b"1" * 200,
        SIGNATURE + b"\x11\x11\0\x0c" + bytes(12),
        v2(2, 0x11, bytes(12)),
        v2(1, 0x12, bytes(12)),
        v2(1, 0x31, bytes(216)),
        v2(1, 0x11, bytes(11)),
        SIGNATURE + b"\x21\x11\xff\xff" + bytes(100),
    ],
)
async def test_a_broken_header_closes_without_a_word(rig, header, caplog):
    server = await rig.serve(proxies=LOCALHOST)
    smtp = await rig.dial()
    await smtp.send(header)
    assert await smtp.reply() == "closed"
    assert server.stats.bad_proxy_headers_total == 1
    assert "bad PROXY header" in caplog.text
    assert "192.0.2.7" not in caplog.text


async def test_a_header_that_does_not_come_is_not_waited_for(rig):
    server = await rig.serve(proxies=LOCALHOST, proxy_header_s=0.2)
    smtp = await rig.dial()
    await smtp.send(b"PROXY TCP4 192")
    assert await smtp.reply() == "closed"
    await until(lambda: server.connections.open == 0)
    assert server.stats.bad_proxy_headers_total == 1


async def test_a_stranger_cannot_name_himself(rig):
    await rig.serve(proxies=Networks.parse("192.0.2.0/24"))
    smtp = await rig.connect()
    assert (await smtp.ask("PROXY TCP4 198.51.100.1 192.0.2.1 1 25")).startswith("500 ")
    assert (await smtp.send_mail(b"Subject: x\r\n\r\n.\r\n")).startswith("250 ")
    assert rig.mails()[0].envelope.client == "127.0.0.1"


async def test_limits_are_of_the_real_peer(rig):
    server = await rig.serve(proxies=LOCALHOST, connections_per_peer_max=2)

    async def arrive(address: str) -> str:
        smtp = await rig.dial()
        await smtp.send(f"PROXY TCP4 {address} 192.0.2.1 1 25\r\n".encode())
        return (await smtp.reply(coded=False))[:3]

    answers = [await arrive("192.0.2.7") for _ in range(3)]
    assert answers == ["220", "220", "421"]
    assert await arrive("192.0.2.8") == "220"
    await until(lambda: server.connections.open == 3)


@given(st.binary(max_size=110))
def test_no_bytes_break_the_readers(data):
    for parse in (parse_v1, lambda data: parse_v2(data[:4].ljust(4, b"\0"), data[4:])):
        try:
            found = parse(data)
        except BadProxyHeader:
            continue
        assert found is None or ipaddress.ip_address(found)

"""An authoritative and recursive DNS server of the test's own, on 127.0.0.1, by UDP and TCP.

The zone is a table of (name, type) to records. A name that has no entry does not exist. Special
values instead of records: SERVFAIL, SILENT (no answer), TRUNCATED (UDP only: ask by TCP).
"""

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

SERVFAIL = "SERVFAIL"
SILENT = "SILENT"
TRUNCATED = "TRUNCATED"
Values = list[str] | str


@dataclass
class DnsServer:
    """`zone[name, "MX"] = ["10 mx.example.com."]`; changes apply to the next question."""

    zone: dict[tuple[str, str], Values] = field(default_factory=dict)
    ttl_s: int = 300
    port: int = 0
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_tcp: int = 0

    def answer(self, octets: bytes, *, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(octets)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked[name, kind] += 1
        values = self.zone.get((name, kind))
        truncated = self.zone.get((name, TRUNCATED))
        if values == SILENT:
            return None
        if values == SERVFAIL:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif truncated and not tcp:
            response.flags |= dns.flags.TC
        elif values:
            response.answer.append(
                dns.rrset.from_text(question.name, self.ttl_s, "IN", kind, *values)
            )
        elif not any(each == name for each, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire(max_size=65535)

    def add(self, domain: str, *hosts: str, address: str = "127.0.0.1") -> None:
        """A domain whose mail hosts, by preference, all have `address`."""
        self.zone[domain, "MX"] = [f"{10 * n} {host}." for n, host in enumerate(hosts, 1)]
        for host in hosts:
            self.zone[host, "A"] = [address]

    async def by_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(EOFError, OSError):
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            self.by_tcp += 1
            answer = self.answer(await reader.readexactly(size), tcp=True)
            if answer is not None:
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self.server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self.server.answer(data, tcp=False)
        if answer is not None:
            self.transport.sendto(answer, addr)


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[DnsServer]:
    """A server on a free port, the same for UDP and TCP."""
    server = DnsServer()
    loop = asyncio.get_running_loop()
    streams = await asyncio.start_server(server.by_stream, "127.0.0.1", 0)
    server.port = streams.sockets[0].getsockname()[1]
    datagrams, _ = await loop.create_datagram_endpoint(
        lambda: _Datagrams(server), local_addr=("127.0.0.1", server.port)
    )
    try:
        yield server
    finally:
        datagrams.close()
        streams.close()
        await streams.wait_closed()

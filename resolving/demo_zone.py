"""DNS server of one domain on the loopback, for `postriver demo --send` without a network.

Answers MX and A of the domain by UDP, and TXT of given names; every other name does not exist.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

TTL_S = 1


@dataclass(frozen=True, slots=True)
class DemoZone:
    """The mail host of `domain` is `mx.domain`, at `address`.

    `texts`: TXT records by name in lower case, as in a zone file.
    """

    domain: str
    address: str = "127.0.0.1"
    texts: Mapping[str, str] = field(default_factory=dict)

    def answer(self, question: bytes) -> bytes | None:
        """Return the response to a DNS message; None if it is not one."""
        try:
            query = dns.message.from_wire(question)
        except dns.exception.DNSException:
            return None
        if len(query.question) != 1:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        asked = query.question[0]
        name = asked.name.to_text(omit_final_dot=True).lower()
        records = {
            (self.domain, dns.rdatatype.MX): f"10 mx.{self.domain}.",
            (f"mx.{self.domain}", dns.rdatatype.A): self.address,
            **{(known, dns.rdatatype.TXT): text for known, text in self.texts.items()},
        }
        if record := records.get((name, asked.rdtype)):
            rrset = dns.rrset.from_text(asked.name, TTL_S, "IN", asked.rdtype, record)
            response.answer.append(rrset)
        elif name not in {known for known, _ in records}:
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, zone: DemoZone) -> None:
        self._zone = zone
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._zone.answer(data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)


@asynccontextmanager
async def serving(zone: DemoZone, address: tuple[str, int]) -> AsyncIterator[None]:
    """Serve `zone` at `address` during the block. Raises OSError: the port is taken."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(zone), local_addr=address)
    try:
        yield
    finally:
        transport.close()

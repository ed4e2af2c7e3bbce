"""Contract of the MailTransport port.

Fixture `peer`: one mail server with `transport` that sends to it, `refuse(address, code)`,
`received` (reverse-path, recipients and content octets of each mail) and `lose_answer()`: the
server takes the next mail, and its answer to the final dot is lost.
"""

import pytest

from mail.errors import ContentMissing, StoreUnavailable
from mail.ids import new_id
from mail.ports.mail_transport import RECIPIENTS_MAX, ForwardPath, Transmission

CONTENT = b"From: a@here.test\r\nSubject: x\r\n\r\n.dot\r\n..two\r\n.\r\nlast line\r\n"


def transmission(content: bytes = CONTENT, *addresses: str, **fields) -> Transmission:
    async def read(start: int, size_bytes: int) -> bytes:
        return content[start : start + size_bytes]

    given = {
        "mail_id": new_id(),
        "domain": "there.test",
        "reverse_path": "a@here.test",
        "recipients": tuple(ForwardPath(address=each) for each in addresses or ("b@there.test",)),
        "size_bytes": len(content),
        "read": read,
    }
    return Transmission(**(given | fields))


class MailTransportContract:
    async def test_a_mail_arrives_byte_for_byte(self, peer):
        (outcome,) = await peer.transport.send(transmission(prefix=b"X-First: 1\r\n"))
        assert (outcome.address, outcome.kind, outcome.status[0]) == (
            "b@there.test",
            "relayed",
            "2",
        )
        assert outcome.server_name
        (mail,) = peer.received
        assert mail.reverse_path == "a@here.test"
        assert mail.recipients == ("b@there.test",)
        assert mail.content == b"X-First: 1\r\n" + CONTENT

    async def test_a_large_mail_arrives_byte_for_byte(self, peer):
        content = b"Subject: large\r\n\r\n" + b"".join(
            b"." * (n % 5) + b"line %d\r\n" % n for n in range(40_000)
        )
        await peer.transport.send(transmission(content))
        assert peer.received[0].content == content

    async def test_a_last_line_without_an_end_gets_one(self, peer):
        await peer.transport.send(transmission(b"Subject: x\r\n\r\nno end"))
        assert peer.received[0].content == b"Subject: x\r\n\r\nno end\r\n"

    async def test_each_recipient_has_its_own_outcome_in_order(self, peer):
        peer.refuse("later@there.test", 450)
        peer.refuse("never@there.test", 550)
        names = ("never@there.test", "one@there.test", "later@there.test", "two@there.test")
        outcomes = await peer.transport.send(transmission(CONTENT, *names))
        assert [(each.address, each.kind, each.code) for each in outcomes] == [
            ("never@there.test", "failed", 550), ("one@there.test", "relayed", 250),
            ("later@there.test", "deferred", 450), ("two@there.test", "relayed", 250),
        ]  # fmt: skip
        assert [each.status[0] for each in outcomes] == ["5", "2", "4", "2"]
        assert peer.received[0].recipients == ("one@there.test", "two@there.test")

    async def test_without_an_accepted_recipient_no_content_is_sent(self, peer):
        peer.refuse("never@there.test", 550)
        (outcome,) = await peer.transport.send(transmission(CONTENT, "never@there.test"))
        assert (outcome.kind, outcome.phase) == ("failed", "rcpt")
        assert peer.received == []

    async def test_the_caller_is_asked_before_the_final_dot(self, peer):
        peer.refuse("never@there.test", 550)
        asked = []

        async def record(addresses):
            asked.append((tuple(addresses), len(peer.received)))

        await peer.transport.send(
            transmission(CONTENT, "never@there.test", "b@there.test", before_final_dot=record)
        )
        assert asked == [(("b@there.test",), 0)]
        assert len(peer.received) == 1

    async def test_a_caller_that_cannot_record_the_attempt_stops_the_mail(self, peer):
        async def record(addresses):
            raise StoreUnavailable("sqlite")

        with pytest.raises(StoreUnavailable):
            await peer.transport.send(transmission(before_final_dot=record))
        assert peer.received == []
        await peer.transport.send(transmission())  # the transport is as good as before
        assert len(peer.received) == 1

    @pytest.mark.parametrize(
        "content",
        [b"Subject: x\r\n\r\na\0b\r\n", b"Subject: x\r\n\r\na\n.\r\nb\r\n", b"a: b\r\n\r\nx\r.\r\n",
         b"a: b\r\n\r\n" + b"x" * 999 + b"\r\n", b"a: b\r\n\r\nlast\r"],
    )  # fmt: skip
    async def test_octets_that_no_mail_has_are_never_sent(self, peer, content):
        (outcome,) = await peer.transport.send(transmission(content))
        assert (outcome.kind, outcome.code, outcome.status) == ("failed", 0, "5.6.0")
        assert peer.received == []

    async def test_octets_beyond_ascii_must_be_announced(self, peer):
        content = "Subject: x\r\n\r\nGrüße\r\n".encode()
        (outcome,) = await peer.transport.send(transmission(content))
        assert (outcome.kind, outcome.status) == ("failed", "5.6.3")
        (outcome,) = await peer.transport.send(transmission(content, eight_bit=True))
        assert outcome.kind == "relayed"
        assert [mail.content for mail in peer.received] == [content]

    async def test_a_content_that_cannot_be_read_is_an_error_of_the_caller(self, peer):
        async def read(start, size_bytes):
            raise StoreUnavailable("content")

        async def short(start, size_bytes):
            return CONTENT[:10] if start == 0 else b""

        with pytest.raises(StoreUnavailable):
            await peer.transport.send(transmission(read=read))
        with pytest.raises(ContentMissing):
            await peer.transport.send(transmission(read=short))
        assert peer.received == []

    async def test_a_lost_answer_leaves_the_mail_in_doubt(self, peer):
        peer.lose_answer()
        (outcome,) = await peer.transport.send(transmission())
        assert (outcome.kind, outcome.phase, outcome.code) == ("deferred", "final-dot", 0)
        assert outcome.in_doubt
        assert len(peer.received) == 1

    async def test_recipients_are_counted(self, peer):
        names = [f"r{n}@there.test" for n in range(RECIPIENTS_MAX)]
        outcomes = await peer.transport.send(transmission(CONTENT, *names))
        assert [outcome.kind for outcome in outcomes] == ["relayed"] * RECIPIENTS_MAX
        for wrong in ((), (*names, "one-more@there.test")):
            recipients = tuple(ForwardPath(address=name) for name in wrong)
            with pytest.raises(ValueError):
                await peer.transport.send(transmission(recipients=recipients))
        await peer.transport.close()

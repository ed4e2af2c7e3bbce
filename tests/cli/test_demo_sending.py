"""What `postriver demo --send` says of the signatures of the mail that the other server got."""

from cli.commands.demo_sending import signature_lines
from operations.domain_records import TextLookup
from tests.mail.sending.test_dkim import KEYS, MAIL, signed


class Records(TextLookup):
    def __init__(self, *published: object) -> None:
        self.published = {key.record_name: key.record_text for key in published}

    async def texts(self, name: str, kind: str) -> list[str]:
        assert kind == "TXT"
        return [self.published[name]] if name in self.published else []


async def test_each_signature_is_checked_with_its_record() -> None:
    mail = signed(MAIL)
    assert await signature_lines(mail, Records(*KEYS)) == [
        "DKIM   rsa-sha256 by rsa2026._domainkey.here.test: valid",
        "DKIM   ed25519-sha256 by ed2026._domainkey.here.test: valid",
    ]
    first, second = await signature_lines(mail.replace(b"long", b"short"), Records(KEYS[0]))
    assert first.endswith("the signature does not fit the header")
    assert second.endswith("no key of this algorithm in DNS")
    assert await signature_lines(MAIL, Records()) == ["DKIM   the mail is not signed"]

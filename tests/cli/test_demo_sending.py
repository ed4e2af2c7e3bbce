"""What `postriver demo --send` says of the signatures of the mail that the other server got."""

import socket
from pathlib import Path

from cli.commands.demo_sending import key_records, other_server, signature_lines
from cli.config.config import load
from cli.wiring.sending import DnsTexts
from mail.sending.dkim.keyring import IN_USE, DkimKeyrings
from mail.sending.service_key import ServiceKey
from operations import accounts
from operations.accounts import FIRST_DOMAIN
from operations.domain_records import TextLookup
from stores.memory import MemoryDirectory
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


async def test_the_other_server_has_the_keys_of_the_sender(tmp_path: Path) -> None:
    directory, key = MemoryDirectory(), ServiceKey(b"k" * 32)
    domain = await accounts.add_domain(directory, FIRST_DOMAIN)
    keys = await DkimKeyrings(directory, key).add(domain, at_ms=1_000_000, state=IN_USE)
    config = load(
        {
            "POSTRIVER_HOME": str(tmp_path),
            "POSTRIVER_RELAY": "mx",
            "POSTRIVER_RESOLVER": f"127.0.0.1:{_free_port(socket.SOCK_DGRAM)}",
            "POSTRIVER_RELAY_PORT": str(_free_port(socket.SOCK_STREAM)),
            "POSTRIVER_OUTBOUND_ALLOW": "127.0.0.0/8",
        }
    )
    async with other_server(config, await key_records(directory, key)) as other:
        assert other is not None
        lines = await signature_lines(signed(MAIL, keys), DnsTexts(config))
        unknown = await signature_lines(signed(MAIL), DnsTexts(config))
    assert [line.rpartition(": ")[2] for line in lines] == ["valid", "valid"]
    assert all(line.endswith("no key of this algorithm in DNS") for line in unknown)


def _free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

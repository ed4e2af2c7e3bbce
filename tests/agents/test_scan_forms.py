"""scan: each form in which a reader receives a part was scanned, for any shape of mail."""

import base64

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.ports import ScanPorts
from agents.scan import scan
from mail.errors import NotFound, Unscannable
from mail.mime.message_parser import attachment, read_mail
from mail.mime.parse_requests import TEXT_MAX_CHARS, read_forms, read_shown
from mail.spam_policy import SpamPolicy
from parsing.in_process import InProcessParser
from scanners.memory import EICAR, MemorySpamScanner, MemoryVirusScanner
from stores.memory import MemoryContentStore, MemoryHolders, MemoryQuarantine
from tests.contracts import wrapped
from tests.support import CORPUS
from tests.support.agent_builders import PLAIN, OneTry, validated

MAILS = {
    **{path.stem: path.read_bytes() for path in sorted(CORPUS.glob("*.eml"))},
    **wrapped.INFECTED_FILES, **wrapped.INFECTED_TEXTS, **wrapped.CLEAN_FORMS,
}  # fmt: skip


class HarmlessScanner(MemoryVirusScanner):
    """Finds nothing, so that every stream is given to it."""

    async def scan(self, content: bytes):
        return msgspec.structs.replace(await super().scan(content), virus="")


def ports_of(virus: MemoryVirusScanner | None = None, **given_ports) -> ScanPorts:
    return ScanPorts(
        contents=MemoryContentStore(), virus=virus or MemoryVirusScanner(),
        spam=MemorySpamScanner(), quarantine=MemoryQuarantine(), holders=MemoryHolders(),
        **given_ports,
    )  # fmt: skip


def attachments(mail: bytes) -> list[bytes]:
    """The first parts and the last part: each call decodes all parts."""
    count = len(read_mail(mail).attachments)
    with pytest.raises(NotFound):
        attachment(mail, count + 1)
    numbers = sorted({*range(1, min(count, 5) + 1), count} - {0})
    return [attachment(mail, number)[1] for number in numbers]


async def check(mail: bytes) -> None:
    scanner = HarmlessScanner()
    assert len(await scan(validated(mail), OneTry(), ports_of(scanner))) == 1
    streams = set(scanner.scanned)
    assert len(streams) == len(scanner.scanned), "nothing is scanned twice"
    assert mail in streams
    for octets in attachments(mail):
        assert octets in streams or not octets
    shown, plain = read_shown(mail, text_max_chars=TEXT_MAX_CHARS), mail.replace(b"\r\n", b"\n")
    for text in (shown.text, shown.html or ""):
        assert text.encode() in streams or text.encode().strip() in plain


@pytest.mark.parametrize("name", MAILS)
async def test_every_attachment_and_text_is_among_the_streams(name: str) -> None:
    await check(MAILS[name])


ALWAYS_READ = {  # as our parser decodes broken base64
    "base64", "no padding", "lines of one letter", "quoted-printable", "lower-case hexadecimal",
    "no empty line before base64", "encoding in capitals", "as it is", "unknown encoding",
    "UTF-16", "HTML entities",
}  # fmt: skip
PIECES = st.lists(st.binary(max_size=40), max_size=4)
BREAKS = st.sampled_from(
    [b"", b"\r\n", b"\n", b"= \r\n", b"=\r\n", b"--b\r\n", b" ", b"=", b"*\x80"]
)


@settings(max_examples=30, deadline=None)
@given(
    encoding=st.sampled_from([b"base64", b"quoted-printable", b"7bit", b"BASE64 ", b"x-uuencode"]),
    pieces=PIECES, gap=BREAKS, end=st.sampled_from([b"\r\n\r\n", b"\r\n", b"\n\n"]),
)  # fmt: skip
async def test_so_it_is_for_any_pieces(encoding, pieces, gap, end) -> None:
    coded = gap.join(base64.b64encode(piece) for piece in pieces)
    await check(wrapped._mail(wrapped._file(encoding, coded, end=end)))


@pytest.mark.parametrize("name", [*wrapped.INFECTED_FILES, *wrapped.INFECTED_TEXTS])
async def test_what_would_be_handed_out_infected_is_quarantined(name: str) -> None:
    mail = MAILS[name]
    handed_out = [*attachments(mail), *read_forms(mail, text_max_chars=TEXT_MAX_CHARS)]
    ports = ports_of()
    events = await scan(validated(mail), OneTry(), ports)
    if any(EICAR in octets for octets in handed_out):
        assert events == ()
        assert (await ports.quarantine.get("m1")).reason == "infected"
    else:
        assert name not in ALWAYS_READ


async def test_plain_mail_is_one_stream() -> None:
    scanner = MemoryVirusScanner()
    await scan(validated(PLAIN), OneTry(), ports_of(scanner))
    assert scanner.scanned == [PLAIN]


class Hurried(InProcessParser):
    """A parser for whose limits every mail is too much."""

    async def forms(self, content: bytes) -> None:
        return None


async def test_a_mail_beyond_the_parsers_limits_says_that_its_parts_were_not_looked_into() -> None:
    (event,) = await scan(validated(), OneTry(), ports_of(parser=Hurried()))
    assert (event.verdict.outcome, event.verdict.unchecked) == ("clean", ("parts",))


@pytest.mark.parametrize("mail", [wrapped.ENCRYPTED, wrapped.ENCRYPTED_OUT_OF_SIGHT])
async def test_encrypted_archives_are_marked_or_by_setting_quarantined(mail: bytes) -> None:
    (event,) = await scan(validated(mail), OneTry(), ports_of())
    assert (event.verdict.outcome, event.verdict.unchecked) == ("clean", ("encrypted",))
    strict = ports_of(policy=SpamPolicy(deliver_encrypted=False))
    assert await scan(validated(mail), OneTry(), strict) == ()
    row = await strict.quarantine.get("m1")
    assert (row.reason, row.verdict.unchecked) == ("unscannable", ("encrypted",))


async def test_a_part_that_cannot_be_scanned_makes_the_mail_unscannable() -> None:
    class Narrow(MemoryVirusScanner):
        async def scan_forms(self, forms):
            raise Unscannable("too much")

    ports = ports_of(Narrow())
    assert await scan(validated(wrapped.CLEAN_FORMS["two files"]), OneTry(), ports) == ()
    assert (await ports.quarantine.get("m1")).verdict.detail == "too much"

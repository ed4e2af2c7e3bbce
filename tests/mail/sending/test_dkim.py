"""DKIM signatures verify with two other implementations, and break when a mail is changed."""

import asyncio
import os
import re
import subprocess
import time
from itertools import pairwise

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mail.sending.dkim import keys as dkim_keys
from mail.sending.dkim.relaxed_form import RelaxedBodyHash
from mail.sending.dkim.signer import MailDigester, NotSignable, signature_fields
from mail.sending.dkim.verifier import signatures as checked
from tests.support.dns_server import serving

AT_S = 1_780_000_000  # verifiers refuse times in the future
KEYS = [
    dkim_keys.generate("here.test", "rsa2026", "rsa-sha256"),
    dkim_keys.generate("here.test", "ed2026", "ed25519-sha256"),
]
RECORDS_TEXT = KEYS[1].record_text
RECORDS = {f"{key.record_name}.".encode(): key.record_text.encode() for key in KEYS}
MAIL = (
    b"Received: by x\r\n"
    b"From: =?utf-8?q?J=C3=BCrgen?=\r\n\t<a@here.test>\r\n"
    b"to:   b@there.test ,\r\n  c@there.test \r\n"
    b"Subject: a   long\r\n   subject\t\r\n"
    b"Date: Sun, 29 Nov 2026 12:00:00 +0000\r\n"
    b"Message-ID: <1@here.test>\r\n"
    b"List-Id: x\r\nlist-id: y\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"\r\n"
    b" two  spaces \t\r\n\r\n.dot\r\n\r\n\r\n"
)


def signed(mail: bytes, keys=KEYS, cuts: tuple[int, ...] = ()) -> bytes:
    digester = MailDigester()
    places = sorted({0, len(mail), *(min(cut, len(mail)) for cut in cuts)})
    for start, stop in pairwise(places):
        digester.feed(mail[start:stop])
    return signature_fields(digester.finish(), keys, signed_at_s=AT_S) + mail


def verifies(mail: bytes) -> list[bool]:
    """What dkimpy says of each signature, and our own check too."""
    signatures = len(re.findall(rb"(?im)^DKIM-Signature:", mail))

    def record(name: bytes, timeout: int = 5) -> bytes | None:
        return RECORDS.get(name)

    def is_valid(n: int) -> bool:
        try:
            return dkim.DKIM(mail).verify(n, dnsfunc=record)
        except dkim.ValidationError:
            return False

    found = [is_valid(n) for n in range(signatures)]
    ours = [each.fault_with(own_record(each.record_name)) for each in checked(mail)]
    assert [not fault for fault in ours] == found, ours
    return found


def own_record(name: str) -> str | None:
    return RECORDS.get(f"{name}.".encode(), b"").decode() or None


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"c=relaxed/relaxed", b"c=relaxed/simple", "a form"), (b"v=1;", b"v=1; l=3;", "a form"),
        (b"a=rsa-sha256", b"a=rsa-sha1", "a form"), (b"s=rsa2026", b"s=none", "no key"),
        (b"s=rsa2026", b"s=ed2026", "no key"), (b"\tb=", b"\tb=*", "the key or the signature"),
        (b"\tb=", b"\tx=", "a form"), (b"t=", b"t=1", "the signature does not fit"),
        (b".dot", b".", "the body"), (b"h=From:From:", b"h=", "a form"),
    ],
)  # fmt: skip
def test_our_check_names_the_fault(old: bytes, new: bytes, fault: str) -> None:
    mail = signed(MAIL, KEYS[:1])
    (signature,) = checked(mail.replace(old, new, 1))
    assert signature.fault_with(own_record(signature.record_name)).startswith(fault)


@given(st.lists(st.sampled_from(signed(MAIL, KEYS[1:]).split(b";")), max_size=20).map(b";".join))
@settings(deadline=None)
def test_our_check_never_fails_on_broken_fields(mail: bytes) -> None:
    for signature in checked(b"DKIM-Signature:" + mail):
        for record in (None, "", "k=rsa; p=", "p=AAAA", RECORDS_TEXT, "k=ed25519; p=" + "A" * 43):
            assert isinstance(signature.fault_with(record), str)


def test_both_signatures_verify() -> None:
    mail = signed(MAIL)
    assert verifies(mail) == [True, True]
    assert re.findall(rb"a=([a-z0-9-]+);", mail) == [b"rsa-sha256", b"ed25519-sha256"]
    assert all(len(line) <= 78 for line in mail.split(b"\r\n"))
    assert signed(MAIL) == mail  # a repeated attempt sends the same octets


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"long", b"short"), (b".dot", b".dots"), (b"<a@here", b"<x@here"), (b": y", b": z"),
        (b"Subject:", b"Subject: another\r\nSubject:"), (b"Received:", b"From: e@x\r\nReceived:"),
        (b"Received:", b"Cc: e@x\r\nReceived:"), (b"Received:", b"Reply-To: e@x\r\nReceived:"),
        (b"\r\n\r\n\r\n", b"\r\nappended\r\n"), (b"Received:", b"List-Id: e\r\nReceived:"),
        (b"Received:", b"MIME-Version: 1.0\r\nReceived:"),
    ],
)  # fmt: skip
def test_a_changed_mail_does_not_verify(old: bytes, new: bytes) -> None:
    mail = signed(MAIL)
    head, found, rest = mail.partition(b"Received:")
    changed = head + (found + rest).replace(old, new, 1)
    assert changed != mail
    assert verifies(changed) == [False, False]


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"a   long\r\n  ", b"a long"), (b"two  spaces \t", b"two spaces"), (b"to:", b"TO:"),
     (b"\r\n\r\n\r\n", b"\r\n\r\n\r\n\r\n"), (b"Received: by x", b"Received: by y")],
)  # fmt: skip
def test_white_space_and_trace_fields_may_change(old: bytes, new: bytes) -> None:
    head, found, rest = signed(MAIL).partition(b"Received:")
    assert verifies(head + (found + rest).replace(old, new, 1)) == [True, True]


LINES = st.lists(
    st.sampled_from(
        [b"\r\n", b" ", b"\t", b"a", b"  b\t", b".", b"\xff\x80", b" \r\n", b"\r\n\r\n"]
    ),
    max_size=25,
).map(b"".join)


@given(LINES, st.lists(st.integers(0, 60), max_size=8))
def test_the_body_hash_does_not_depend_on_chunks(body: bytes, cuts: list[int]) -> None:
    whole, pieces = RelaxedBodyHash(), RelaxedBodyHash()
    whole.feed(body)
    places = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    for start, stop in pairwise(places):
        pieces.feed(body[start:stop])
    assert pieces.digest() == whole.digest()


@given(LINES, st.lists(st.integers(0, 200), max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_body_verifies(body: bytes, cuts: list[int]) -> None:
    ended = body if not body or body.endswith(b"\r\n") else body + b"\r\n"
    mail = b"From: a@here.test\r\nSubject:\r\nX:y\r\n\r\n" + ended
    assert verifies(signed(mail, KEYS[1:], tuple(cuts))) == [True]


def test_a_mail_without_a_body_verifies() -> None:
    assert verifies(signed(b"From: a@here.test\r\nTo: b\r\n\r\n")) == [True, True]


@pytest.mark.parametrize(
    "mail",
    [b"", b"\r\nFrom: a@b\r\n", b"Subject: x\r\n\r\n", b"From: a@b\r\n" * 30 + b"\r\n",
     b"From: a@b\r\nX: " + b"x" * 1024 * 1024 + b"\r\n\r\n"],
    ids=["empty", "no header", "no From", "many From", "long"],
)  # fmt: skip
def test_a_mail_that_cannot_be_signed_is_refused(mail: bytes) -> None:
    with pytest.raises(NotSignable):
        signed(mail)


@pytest.mark.parametrize(
    "line", [b" " * 4_000_000 + b"x", b"\r\n" * 2_000_000 + b"x", b"x y" * 900_000]
)
def test_work_is_linear(line: bytes) -> None:
    """dkimpy takes two minutes for 200 KB of spaces."""
    began_s = time.process_time()
    body = RelaxedBodyHash()
    for start in range(0, len(line), 4096):
        body.feed(line[start : start + 4096])
    body.digest()
    assert time.process_time() - began_s < 5


PERL = """
use Mail::DKIM::Verifier; use Net::DNS::Resolver;
my $resolver = Net::DNS::Resolver->new(nameservers => ['127.0.0.1'], port => $ARGV[0]);
Mail::DKIM::DNS::resolver($resolver);
my $dkim = Mail::DKIM::Verifier->new(); binmode STDIN; local $/; $dkim->PRINT(<STDIN>);
$dkim->CLOSE; print $dkim->result_detail;
"""


@pytest.mark.parametrize(("old", "result"), [(b"", "pass"), (b"long", "fail")])
async def test_a_signature_verifies_with_mail_dkim(old: bytes, result: str) -> None:
    """Mail::DKIM, which SpamAssassin uses; Debian's does not know Ed25519."""
    mail = signed(MAIL, KEYS[:1]).replace(old, b"") if old else signed(MAIL, KEYS[:1])
    async with serving() as server:
        server.zone[KEYS[0].record_name, "TXT"] = [" ".join(KEYS[0].record_strings)]
        done = await asyncio.to_thread(
            subprocess.run, ["/usr/bin/perl", "-e", PERL, str(server.port)],
            input=mail, capture_output=True, env={**os.environ, "RES_NAMESERVERS": "127.0.0.1"},
            check=True, timeout=60,
        )  # fmt: skip
    assert done.stdout.decode().startswith(result), done
    assert server.asked[KEYS[0].record_name, "TXT"] == 1

"""Test data of the benchmarks: words, mails and mailbox rows, reproducible by a seed."""

import itertools
import random
from dataclasses import dataclass

import msgspec

from mail import ids
from mail.mailbox.delivery_rules import deliver
from mail.mailbox.threads import thread_keys
from mail.ports import Commit
from schemas.content import Stored
from schemas.events.mailbox_commands import Deliver
from schemas.events.mailbox_events import Position
from schemas.mail import EmailAddress, HeaderSummary, Hop, Verdict
from schemas.mailbox import FolderCounts, MailboxState, Usage
from schemas.search import IndexDocument

WORDS = 60_000
SEARCH_WORD_MIN_CHARS = 5
BODY_WORDS = 620  # about 4 KB
LINE_WORDS = 10
NOW_MS = 1_700_000_000_000
DOMAIN = "bench.test"
VERDICT = Verdict(outcome="clean", signatures="ClamAV 1.4/27000", rules="4.0.1")
HOPS = tuple(
    Hop(stage=stage, started_at_ms=NOW_MS, took_ms=1.5, verdict="done", attempt=1, worker="w-1")
    for stage in ("ingress", "validate", "scan", "route")
)
HEAD = HeaderSummary(
    subject="Minutes of the meeting about the new river crossing",
    sender=EmailAddress("Alice Example", "alice@example.org"),
    to=tuple(
        EmailAddress(f"Reader {number}", f"reader{number}@example.org") for number in range(3)
    ),
    message_id="20260101.4711@example.org",
    preview="Dear all, " + "as we agreed yesterday, " * 8,
)


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail to send; `data` ends with the final dot."""

    recipient: str
    data: bytes


class Corpus:
    """Random words distributed by Zipf's law, and documents and mails of such words."""

    def __init__(self, seed: int = 1, *, bodies: int = 2_000) -> None:
        self._random = random.Random(seed)  # noqa: S311 no secrets here
        alphabet = "abcdefghijklmnopqrstuvwxyz"
        self.words = [
            "".join(self._random.choices(alphabet, k=self._random.randint(2, 10)))
            for _ in range(WORDS)
        ]
        self._weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(WORDS)))
        self._bodies = [" ".join(self.draw(BODY_WORDS)) for _ in range(bodies)]

    def document(self, user: str, number: int) -> IndexDocument:
        subject = " ".join(self.draw(6))
        return IndexDocument(
            message_id=ids.derived_id(user, str(number)),
            user_id=user,
            domain_id="domain",
            received_at_ms=NOW_MS + number * 60_000,
            subject=subject,
            headers=self._headers(user, number, subject),
            header_ids={"message-id": (f"{number}@example.org",)}
            | ({"references": (f"{number - 1}@example.org",)} if number % 3 == 0 else {}),
            sent_day=(NOW_MS + number * 60_000) // 86_400_000,
            sender=f"Person {number % 300} <person{number % 300}@example.org>",
            size_bytes=4_000 + number % 4_000,
            has_attachments=number % 10 == 0,
            to=f"{user}@example.net",
            cc="",
            body=f"{self._random.choice(self._bodies)} serial{number}",
            filenames="",
        )

    def _headers(self, user: str, number: int, subject: str) -> tuple[tuple[str, str], ...]:
        """Return fields as a mail of the internet has them: about 1.6 KB, much of it random."""
        hops = tuple(("received", self._trace(hop)) for hop in range(3))
        listed = (("list-id", f"<list{number % 50}.example.org>"),) if number % 10 == 0 else ()
        return (
            ("return-path", "<bounces@example.org>"),
            *hops,
            ("dkim-signature", self._signature()),
            ("from", f"Person {number % 300} <person{number % 300}@example.org>"),
            ("to", f"{user}@example.net"),
            ("subject", subject),
            ("message-id", f"<{number}@example.org>"),
            ("date", "Tue, 24 Nov 2026 10:00:00 +0000"),
            ("mime-version", "1.0"),
            ("content-type", 'multipart/alternative; boundary="b"'),
            ("x-mailer", "Example Mailer 4.2"),
            *listed,
        )

    def _trace(self, hop: int) -> str:
        return (
            f"from mx{hop}.example.org (mx{hop}.example.org [192.0.2.{hop}]) by in.example.net "
            f"with ESMTPS id {self._random.getrandbits(64):x}; Tue, 24 Nov 2026 10:00:00 +0000"
        )

    def _signature(self) -> str:
        return (
            "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=2026; h=from:to:subject; "
            f"bh={self._random.getrandbits(256):x}; b={self._random.getrandbits(1376):x}"
        )

    def mail(self, recipient: str, number: int, size_bytes: int = 4096) -> Mail:
        """Return a mail of `size_bytes` with a text and an HTML part; every mail is different."""
        head = (
            f"From: Person {number % 300} <person{number % 300}@example.org>\r\n"
            f"To: <{recipient}>\r\nSubject: {' '.join(self.draw(6))}\r\n"
            f"Message-ID: <{number}.{self._random.getrandbits(48):x}@example.org>\r\n"
            "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
        )
        part = "--b\r\nContent-Type: text/{}; charset=utf-8\r\n\r\n{}\r\n"
        half_bytes = (size_bytes - len(head) - 120) // 2
        text = self._lines(half_bytes, "")
        html = self._lines(half_bytes, "<p>")
        both = part.format("plain", text) + part.format("html", html)
        return Mail(recipient, f"{head}{both}--b--\r\n.\r\n".encode())

    def _lines(self, size_bytes: int, begin: str) -> str:
        lines = []
        while size_bytes > 0:
            line = begin + " ".join(self.draw(LINE_WORDS))
            lines.append(line[:size_bytes])
            size_bytes -= len(line) + 2
        return "\r\n".join(lines)

    def draw(self, count: int) -> list[str]:
        return self._random.choices(self.words, cum_weights=self._weights, k=count)


def user_id(number: int) -> str:
    return ids.derived_id("benchmark", str(number))


def address(number: int) -> str:
    return f"user{number}@{DOMAIN}"


def delivery(owner: str, seq: int, content: Stored | None = None) -> Commit:
    """Return a delivery as the mailbox stage commits it: 1.2 KB of entry, 1.6 KB of row."""
    mail_id = ids.new_id()
    content = content or Stored(mail_id, 4096, "0" * 64)
    command = Deliver(
        command_id=ids.derived_id(mail_id, owner),
        user_id=owner,
        domain_id="d1",
        message_id=ids.message_id(mail_id, owner),
        mail_id=mail_id,
        folder_id="inbox",
        keywords=(),
        content=content,
        received_at_ms=NOW_MS + seq,
        at_ms=NOW_MS,
        head=msgspec.structs.replace(HEAD, message_id=mail_id),
        verdict=VERDICT,
        hops=HOPS,
    )
    before = seq - 1
    state = MailboxState(
        seq=before,
        folders={"inbox": FolderCounts("inbox", before, before, seq)},
        usage=Usage(before * content.size_bytes, before),
    )
    position = Position("epoch-1", 3, seq)
    commit = deliver(state, command, position, thread_keys(command.head), {})
    assert isinstance(commit, Commit)
    return commit


def search_words(count: int) -> list[str]:
    """Words that some mails of each corpus have."""
    middling = Corpus(bodies=0).words[800:1_000]
    return [word for word in middling if len(word) >= SEARCH_WORD_MIN_CHARS][:count]

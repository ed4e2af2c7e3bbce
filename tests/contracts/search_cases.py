"""One mailbox, and what each query must find in it: the meaning of searches, as a table.

A message's id follows from its name; the names stand for the ids here.
"""

from datetime import UTC, datetime

from mail.ids import derived_id
from schemas.content import Stored
from schemas.mail import HeaderSummary, Verdict
from schemas.mailbox import FLAGGED, SEEN, Message
from schemas.search import IndexDocument

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def at(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1000)


def document(name: str, *, user: str = "ann", at: int = 1_700_000_000_000, **fields):
    """A document whose message id follows from `name`; empty but for `fields`."""
    texts = dict.fromkeys(("subject", "sender", "to", "cc", "bcc", "body", "filenames"), "")
    given = {"size_bytes": 1000, "has_attachments": False}
    return IndexDocument(
        message_id=derived_id(name), user_id=user, domain_id="domain", received_at_ms=at,
        **(texts | given | fields),
    )  # fmt: skip


def ids(*names: str) -> list[str]:
    return [derived_id(name) for name in names]


def row(of: IndexDocument, *, folders: tuple[str, ...] = ("inbox",), keywords=()) -> Message:
    """Return the message row of a document."""
    return Message(
        message_id=of.message_id, user_id=of.user_id, domain_id=of.domain_id,
        mail_id=of.message_id, places=dict.fromkeys(folders, 1), keywords=tuple(keywords),
        created_seq=1, changed_seq=1, received_at_ms=of.received_at_ms,
        content=Stored(of.message_id, of.size_bytes, ""),
        head=HeaderSummary(subject=of.subject, has_attachments=of.has_attachments),
        verdict=Verdict(outcome="clean"), hops=(),
    )  # fmt: skip


MIB = 1024 * 1024
# name, folder, keywords, fields: oldest last
MAILBOX = (
    ("fresh", "inbox", "", {"at": at(2026, 11, 24, 11), "subject": "Invoice 42 for tea",
        "sender": "Bob Li <bob.li@example.org>", "to": "ann@example.net", "body": "see the invoice",
        "headers": (("list-id", "Tea Lovers <tea.example.org>"), ("x-rating", "5")),
        "header_ids": {"message-id": ("1@x",)}, "sent_day": 20_781,  # 2026-11-24
        "filenames": "invoice-42.pdf", "size_bytes": 2 * MIB, "has_attachments": True}),
    # 2026-11-24 00:30 in Berlin and 08:30 in Seoul
    ("night", "inbox", SEEN, {"at": at(2026, 11, 23, 23, 30), "subject": "Night train",
        "sender": "Carol <carol@example.org>", "cc": "bob.li@example.org",
        "bcc": "Eve <eve@example.org>", "body": "to Berlin",
        "headers": (("list-id", ""), ("x-rating", "4 of 5"), ("x-rating", "Sehr gut\u00e9")),
        "header_ids": {"message-id": ("2@x",), "references": ("0@x", "1@x")},
        "sent_day": 20_780}),
    # 2026-11-23 23:59:59.999 in Berlin
    ("evening", "archive", f"{SEEN} {FLAGGED} work $forwarded", {
        "at": at(2026, 11, 23, 22, 59, 59) + 999,
        "subject": "Evening news", "body": "the invoices were paid",
        "header_ids": {"in-reply-to": ("2@x",)}, "sent_day": 20_781}),
    # 2026-11-24 00:00 in Seoul
    ("korean", "inbox", "", {"at": at(2026, 11, 23, 15), "subject": "다음 주 회의록",
        "sender": "김철수 <kim@example.kr>",
        "body": "회의는 서울2024년 빌딩에서 합니다. 의회 자료도"}),
    ("japanese", "inbox", "", {"at": at(2026, 11, 20), "subject": "明日の会議は東京で",
        "body": "がくせい証 ﾃｽﾄ送信 お茶"}),
    ("chinese", "junk", "", {"at": at(2026, 11, 17, 12), "subject": "我们明天在北京开会",
        "body": "请带茶"}),
    ("german", "inbox", SEEN, {"at": at(2026, 11, 17, 11, 59), "subject": "Grüße aus der Straße",
        "body": "Die Rechnung über 5 € für Łódź", "size_bytes": 5 * MIB}),
    ("french", "inbox", SEEN, {"at": at(2026, 10, 24, 12), "subject": "Crème brûlée d'été",
        "body": "cafe\u0301 \u0153uvre", "size_bytes": 5 * MIB + 1}),
    ("turkish", "trash", SEEN, {"at": at(2026, 10, 24, 11, 59), "subject": "İstanbul ışık",
        "body": "DIYARBAKIR ve İzmir"}),
    ("arabic", "inbox", FLAGGED, {"at": at(2025, 11, 24, 12), "subject": "مُحَمَّد في القاهرة",
        "body": "مرحبا", "filenames": "صورة.png", "has_attachments": True}),
    ("old", "archive", "", {"at": at(2025, 11, 24, 11, 59), "subject": "well-known invoice",
        "body": "next week we meet, see you", "sender": "Dan <dan@example.org>"}),
    ("ancient", "archive", SEEN, {"at": at(1999, 12, 31, 23, 59), "subject": "Y2K",
        "body": "week next: invoicing stops. OR does it not", "size_bytes": 0}),
)  # fmt: skip
NAMES = tuple(name for name, *_ in MAILBOX)
NAME_OF = {derived_id(name): name for name in NAMES}
DOCUMENTS = tuple(document(name, **fields) for name, _, _, fields in MAILBOX)
ROWS = tuple(
    row(one, folders=(folder,), keywords=keywords.split())
    for one, (_, folder, keywords, _) in zip(DOCUMENTS, MAILBOX, strict=True)
)

# query, what it finds (newest first); what the index alone can answer
FIXED_FACTS = (
    ("invoice", "fresh old"),
    ("INVOICE tea", "fresh"),
    ("invoi*", "fresh evening old ancient"),
    ("subject:invoi*", "fresh old"),
    ('"see the invo"*', "fresh"),
    ("i*", "fresh evening turkish old ancient"),
    ("bob.l*", "fresh night"),
    ('"next week"', "old"),
    ('"week next"', "ancient"),
    ('subject:"night train"', "night"),
    ('body:"night train"', ""),
    ("well-known", "old"),
    ("from:bob.li@example.org", "fresh"),
    ("cc:bob.li", "night"),
    ("to:ann", "fresh"),
    ("to:bob", ""),
    ("from:(carol OR dan)", "night old"),
    ("filename:pdf", "fresh"),
    ("filename:*.png", "arabic"),
    ("filename:صورة", "arabic"),
    ("invoice -tea", "old"),
    ("invoice NOT from:bob", "old"),
    ("invoice AND -from:bob AND -subject:42", "old"),
    ("-invoice -example -회의 -会議 -茶", "evening german french turkish arabic ancient"),
    ("tea OR train", "fresh night"),
    ("train OR tea news", ""),
    ("(train tea) OR news", "evening"),
    ("news (train OR invoices)", "evening"),
    ("invoice -(tea OR paid)", "old"),
    ("invoice -(from:bob subject:tea)", "old"),
    ("-(-invoice)", "fresh old"),
    ("or does", "ancient"),
    ('"OR" does', "ancient"),
    ("회의", "korean"),
    ("의회", "korean"),
    ("회의록", "korean"),
    ("의록", "korean"),
    ("록", "korean"),
    ("철", "korean"),
    ("subject:철", ""),
    ("from:김", "korean"),
    ("서울2024년", "korean"),
    ("2024년", "korean"),
    ('"주 회의"', "korean"),
    ('"의록 주"', ""),
    ("회*", "korean"),
    ("\u1112\u116c\u110b\u1174", "korean"),
    ("会議", "japanese"),
    ("は東京", "japanese"),
    ("テスト", "japanese"),
    ("がく", "japanese"),
    ("かく", ""),
    ("茶", "japanese chinese"),
    ("茶 -お茶", "chinese"),
    ("北京 OR 東京", "japanese chinese"),
    ('"在北京开会"', "chinese"),
    ("京", "japanese chinese"),
    ("strasse", "german"),
    ("STRASSE GRUSSE", "german"),
    ("grüsse lodz", "german"),
    ("creme brulee", "french"),
    ("ÉTÉ café oeuvre", "french"),
    ("istanbul ISIK", "turkish"),
    ("diyarbakır", "turkish"),
    ("محمد", "arabic"),
    ("القاهرة مرحبا", "arabic"),
    ("bcc:eve", "night"),
    ("eve", "night"),
    ("with:bob.li", "fresh night"),
    ("-with:example", "evening japanese chinese german french turkish arabic ancient"),
    ("contains:nvoic", "fresh evening old ancient"),
    ("contains:NVOICE", "fresh evening old"),
    ('contains:"nvoices were pai"', "evening"),
    ('contains:"ice 42 for"', "fresh"),
    ("subject:(contains:nvoic)", "fresh old"),
    ("subject:(contains:nvoic -42)", "old"),
    ("filename:(contains:oice-4)", "fresh"),
    ("from:(contains:ob.l)", "fresh"),
    ("contains:lovers", ""),
    ("contains:렇", ""),
    ("contains:2024년", "korean"),
    ("contains:24년", "korean"),
    ("contains:의", "korean"),
    ('contains:"의록"', "korean"),
    ("contains:RASSE", "german"),
    ("contains:itz OR contains:zmi", "turkish"),
    ("-contains:e -contains:i", "japanese chinese arabic"),
    ("invoice -contains:ea", "old"),
    ("header:list-id", "fresh night"),
    ("header:LIST-ID:lovers", "fresh"),
    ('header:"list-id: ea.example"', "fresh"),
    ("header:x-rating:5", "fresh night"),
    ("header:x-rating:gute", "night"),
    ("header:subject", ""),
    ("train -header:x-rating", ""),
    ("-header:x-rating:4 header:list-id", "fresh"),
    ("msgid:1@x", "fresh night"),
    ("msgid:2@x", "night evening"),
    ("msgid:x", ""),
    ("sent_after:2026-11-24", "fresh evening"),
    ("sent_before:2026-11-24 after:2026-11-23", "night korean"),
    ("sent_before:2026-11-24 sent_after:2026-11-23", "night korean"),
    ("sent_before:2000", "ancient"),
    ("(sent_before:2000 OR sent_after:2026-11-24) invoi*", "fresh evening ancient"),
    ("has:attachment", "fresh arabic"),
    ("invoice -has:attachment", "old"),
    ("has:attachment -has:attachment", ""),
    ("larger:5M", "french"),
    ("larger:4.99MB", "german french"),
    ("smaller:1000", "ancient"),
    ("smaller:1001 before:2026", "arabic old ancient"),
    ("smaller:0", ""),
    ("larger:1M smaller:5M", "fresh"),
    ("larger:2M smaller:2M", ""),
    ("larger:999999999999999G", ""),
    ("before:2026-11-24 after:2026-11-23", "night evening korean"),
    ("before:2025-11-24T12:00:00Z after:2025/11/24", "old"),
    ("after:2025-11-24T13:00:00+01:00 before:2025-11-25", "arabic"),
    ("before:2000", "ancient"),
    ("before:2026-10 after:2025", "arabic old"),
    ("older_than:7d after:2026-11", "german"),
    ("newer_than:7d", "fresh night evening korean japanese chinese"),
    ("older_than:1m newer_than:1y", "turkish arabic"),
    ("older_than:1w newer_than:5w", "german french turkish"),
    ("older_than:1y", "old ancient"),
    ("-newer_than:1y", "old ancient"),
    ("in:anywhere older_than:2y", "ancient"),
    ("in:anywhere", " ".join(NAMES)),
    ("invoice -in:anywhere", ""),
    ("(before:2000 OR before:2026) invoice", "old"),
)
# query, the zone that the asker names, what it finds
IN_ZONES = (
    ("after:2026-11-24", "UTC", "fresh"),
    ("after:2026-11-24", "Europe/Berlin", "fresh night"),
    ("after:2026-11-24", "Asia/Seoul", "fresh night evening korean"),
    ("before:2026-11-24 after:2026-11-23", "Europe/Berlin", "evening korean"),
    ("before:2026-11-24 newer_than:8d", "Asia/Seoul", "japanese chinese german"),
    ("before:2000", "America/New_York", "ancient"),
    ("before:2000", "Asia/Tokyo", ""),
    ("after:2000", "Asia/Tokyo", " ".join(NAMES)),
)
# what rows decide, alone and with the index
ROW_FACTS = (
    ("is:unread", "fresh korean japanese chinese arabic old"),
    ("is:read", "night evening german french turkish ancient"),
    ("-is:read is:flagged", "arabic"),
    ("is:flagged", "evening arabic"),
    ("in:archive", "evening old ancient"),
    ("IN:Junk", "chinese"),
    ('in:"archive" is:unread', "old"),
    ("in:(junk OR trash)", "chinese turkish"),
    ("invoice is:unread", "fresh old"),
    ("invoice -is:unread", ""),
    ("invoi* is:read", "evening ancient"),
    ("is:flagged OR invoice", "fresh evening arabic old"),
    ("-(is:unread OR invoi*)", "night german french turkish"),
    ("(in:archive invoice) OR (in:inbox train)", "night old"),
    ("-in:inbox -in:archive", "chinese turkish"),
    ("(is:flagged OR larger:1M) (tea OR 회의 OR brûlée OR paid)", "fresh evening french"),
    ("is:read (in:trash OR before:2000)", "turkish ancient"),
    ("after:2026 OR is:flagged in:inbox", "fresh night korean japanese german french arabic"),
    ("is:unread OR -is:unread", " ".join(NAMES)),
    ("is:unread -is:unread", ""),
    ("in:drafts", ""),
    ("keyword:work", "evening"),
    ("keyword:$forwarded -keyword:work", ""),
    ("keyword:WORK OR header:x-rating:4", "night evening"),
    ("-keyword:work contains:invoi", "fresh old ancient"),
    ("keyword:nobodys", ""),
    ("in:inbox contains:rai", "night"),
)
# by relevance: the subject first, then names and files, then the text
RELEVANT = (
    ("invoice", "fresh old"),
    ("invoi*", "fresh old evening ancient"),
    ("bob", "fresh night"),
    ("berlin OR carol", "night"),
    ("week", "old ancient"),
    ("회의 OR 의회", "korean"),
    ("example", "fresh night korean old"),
    ("is:read to", "night"),
    ("invoi* is:read", "evening ancient"),
    ("invoi* -42", "old evening ancient"),
    ("body:invoi*", "fresh evening ancient"),
    ("next OR train", "night old ancient"),
    ("(news OR known OR see) -is:flagged", "old fresh"),
)

"""Outgoing mails for tests, as hypothesis strategies and as a constant."""

from hypothesis import strategies as st

from mail.composing.outgoing_mail import OutgoingAttachment, OutgoingMail, QuotedMail
from mail.ids import dated_id
from schemas.ids import MailId
from schemas.mail import EmailAddress

MAIL_ID = MailId(dated_id(1_700_000_000_000, "test"))
BOB = EmailAddress("Bob", "bob@example.org")
PLAIN = {
    "mail_id": MAIL_ID, "message_id": f"{MAIL_ID}@example.org", "date_ms": 1_700_000_000_000,
    "sender": BOB,
}  # fmt: skip

WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=90
)
MARKS = st.sampled_from(["=?utf-8?q?=0A?=", "=?", "?=", '"', "\\", "<a@b>", ",", ":"])
LINES = st.lists(WORDS | MARKS, max_size=12).map(" ".join)
NAMES = LINES.map(lambda text: text[:200].strip())
LOCAL_PARTS = st.from_regex(  # without encoded words, which are refused
    r"\A[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,30}(\.[a-z]{1,9})?\Z"
).filter(lambda local: "=?" not in local) | st.sampled_from(
    ['"a b"', '"a\\"b<,>"', '"= ?utf-8?q?x?="', "김하늘", "é.x"]
)
DOMAINS = st.sampled_from(["example.org", "[192.0.2.1]", "bücher.example", "a." * 60 + "example"])
ADDRESSES = st.builds(
    lambda name, local, domain: EmailAddress(name, f"{local}@{domain}"), NAMES, LOCAL_PARTS, DOMAINS
)
ADDRESS_LISTS = st.lists(ADDRESSES, max_size=6).map(tuple)
TEXTS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=120)
    | st.sampled_from(["", ".", "From x", "--", "-- ", "x" * 1200, "=20", "a\t", "--=_0"]),
    max_size=8,
).map("\n".join)
FILENAMES = st.one_of(
    WORDS.map(lambda word: word.replace("/", "_").replace("\\", "_").lstrip(".")[:100] or "x"),
    st.sampled_from(
        ["한글 파일.pdf", 'a"b;c=d.txt', "=?utf-8?q?x?=.txt", "x" * 100 + ".bin", "a b"]
    ),
)
CONTENTS = st.binary(max_size=300) | st.sampled_from([b"", b"\r\n--=_x--\r\n", b"\n.\n", b"\0"])
ATTACHMENTS = st.builds(
    OutgoingAttachment,
    filename=FILENAMES,
    content_type=st.sampled_from(
        ["image/png", "text/plain; charset=utf-8", "a/b", "", "multipart/x"]
    ),
    content=CONTENTS,
    inline=st.booleans(),
)
QUOTES = st.builds(
    QuotedMail,
    kind=st.sampled_from(["reply", "forward"]),
    text=TEXTS,
    html=st.none() | TEXTS,
    sender=st.none() | ADDRESSES,
    subject=LINES,
    date_ms=st.none() | st.integers(0, 10**14),
)
RECEIVED_IDS = st.sampled_from(["a@b", "x" * 250, "<", "=?utf-8?q?a?=", "a b"])
MAILS = st.builds(
    OutgoingMail,
    **{name: st.just(value) for name, value in PLAIN.items() if name != "sender"},
    sender=ADDRESSES,
    to=ADDRESS_LISTS,
    cc=ADDRESS_LISTS,
    bcc=ADDRESS_LISTS,
    reply_to=ADDRESS_LISTS,
    subject=LINES.map(lambda text: text[:998]),
    text=st.none() | TEXTS,
    html=st.none() | TEXTS,
    attachments=st.lists(ATTACHMENTS, max_size=3).map(tuple),
    in_reply_to=st.lists(RECEIVED_IDS, max_size=3).map(tuple),
    quote=st.none() | QUOTES,
    headers=st.dictionaries(st.sampled_from(["X-Mailer", "Importance", "List-Id"]),
                            st.from_regex(r"\A[!-~]{1,70}( [!-~]{1,200}){0,4}\Z"))
    .map(lambda values: tuple(values.items())),
)  # fmt: skip

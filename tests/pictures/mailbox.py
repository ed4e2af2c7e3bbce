"""A mailbox to look at: some weeks of mail in two languages."""

import time
from email.message import EmailMessage

from tests.support.edge_world import World

HOUR_MS = 3_600_000
PEOPLE = (
    ("김하늘 <haneul@example.kr>", "주간 보고서 보내드립니다"),
    ("Ann Lee <ann@example.org>", "Invoice 2026-118"),
    ("Rui Costa <rui@costa.example>", "Photos from the delta"),
    ("Harbour Weekly <news@weekly.example>", "What the river said this week"),
    ("Maja Nowak <maja@nowak.example>", "Notes of our meeting"),
    ("Bob <bob@postriver.test>", "Lunch on Thursday?"),
)
TEXT = (
    "Hello Alice,\n\nthe water is high today and the ferries run late; the new times are at\n"
    "https://example.org/timetable\n\n> Will you take the early one?\n> I shall be at the pier.\n"
    "> Bring the maps.\n\nSee you there\n-- \nOn the river since 1998\n"
)
TABLE = (
    "<p>Good. I have put the <b>figures</b> together:</p><table cellpadding=8 border=1>"
    "<tr><td>Basel</td><td>3 days</td></tr><tr><td>Strasbourg</td><td>2 days</td></tr></table>"
    "<p>Maja</p><blockquote>Yes, Basel first, then down the Rhine.</blockquote>"
)


def mail(sender: str, subject: str, text: str = TEXT, **fields: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["Subject"] = sender, subject
    made["To"] = fields.get("to", "alice@postriver.test")
    made["Message-ID"] = fields.get("id", f"<{time.time_ns()}@example.org>")
    if "answers" in fields:
        made["References"] = fields["answers"]
    made.set_content(text)
    return made


async def fill(world: World, *, mails: int = 24) -> None:
    """Deliver mails to alice: the newest is a conversation with an answer of her own."""
    now_ms = time.time_ns() // 1_000_000
    for at in range(mails):
        sender, subject = PEOPLE[at % len(PEOPLE)]
        made = mail(sender, subject)
        if at % 5 == 1:
            made.add_attachment(
                b"%PDF-1.4", maintype="application", subtype="pdf", filename="118.pdf"
            )
        keywords = ("$seen",) if at % 3 else ()
        at_ms = now_ms - (mails - at) * 7 * HOUR_MS
        await world.deliver(made.as_bytes(), at_ms=at_ms, keywords=(*keywords, *_star(at)))
    first = mail("Maja Nowak <maja@nowak.example>", "Spring tour", "Basel?\n", id="<1@x>")
    own = mail("Alice <alice@postriver.test>", "Re: Spring tour", "Yes, Basel first.\n",
               id="<2@x>", answers="<1@x>", to="Maja Nowak <maja@nowak.example>")  # fmt: skip
    last = mail("Maja Nowak <maja@nowak.example>", "Re: Spring tour", "Good.\n", answers="<1@x>")
    last.add_alternative(TABLE, subtype="html")
    last.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="Tour.pdf")
    await world.deliver(first.as_bytes(), at_ms=now_ms - 5 * HOUR_MS, keywords=("$seen",))
    await world.deliver(
        own.as_bytes(), at_ms=now_ms - 4 * HOUR_MS, keywords=("$seen",), folder_id="sent"
    )
    await world.deliver(last.as_bytes(), at_ms=now_ms - 2 * HOUR_MS)


def _star(at: int) -> tuple[str, ...]:
    return ("$flagged",) if at % 7 == 2 else ()

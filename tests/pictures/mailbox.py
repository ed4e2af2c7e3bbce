"""A mailbox to look at: some weeks of mail in two languages, with labels and a conversation."""

import time
from email.message import EmailMessage

from tests.support.edge_world import World

HOUR_MS = 3_600_000
ME = "Alice Berg <alice@postriver.test>"
MAJA = "Maja Nowak <maja@example.org>"
SIGNED = "\n\nBest wishes\n"
LABELS = [
    {"keyword": "travel", "name": "Travel", "colour": "teal"},
    {"keyword": "house", "name": "House", "colour": "orange"},
]
# Hours ago, sender, subject, text, keywords; a name ends with the file of the mail.
MAILS: list[tuple[float, str, str, str, tuple[str, ...]]] = [
    (0.4, "김하늘 <haneul@example.org>", "주간 보고서 보내드립니다",
     "안녕하세요, 이번 주 보고서를 첨부했습니다. 확인 부탁드립니다.", ()),
    (5, "Ferry timetable <ferries@example.org>", "High water: later boats on Thursday",
     "The 7:10 and the 7:40 do not run on Thursday. The next boat leaves at 8:05 from pier 3.",
     ("travel",)),
    (8, "Bob <bob@postriver.test>", "Lunch on Thursday?",
     "Are you in town? There is a new place by the market hall with soup and good bread.", ()),
    (21, "Rui Costa <rui@example.org>", "Photos from the delta",
     "I have sorted them at last. The herons are from the second morning.", ("$flagged",)),
    (26, "Ann Lee <ann@example.org>", "Invoice 2026-118",
     "Please find the invoice for the translation attached. Payment within 30 days.",
     ("house", "$seen")),
    (30, "Harbour Weekly <news@example.org>", "What the river said this week",
     "Low water at the bridge, two new moorings, a walk to the old mill.", ("$seen",)),
    (47, "이서연 <seoyeon@example.org>", "회의실 예약 안내",
     "목요일 오후 두 시 회의실을 예약했습니다. 자료는 미리 보내 주세요.", ("$seen",)),
    (52, "Karim Haddad <karim@example.org>", "The roof is dry again",
     "The tiles came on Monday and the gutter is new. I will send the bill next week.",
     ("house", "$seen", "$flagged")),
    (75, "Library <loans@example.org>", "Two books are due on 12 December",
     "You can extend both of them once, at the desk or by answering this mail.", ("$seen",)),
    (98, "Ines Weber <ines@example.org>", "Notes of our meeting",
     "Here is what we agreed on, with names behind each point. Please correct me.", ("$seen",)),
    (121, "Rui Costa <rui@example.org>", "Tent and stove",
     "I can bring the tent. Could you look whether the stove still works?",
     ("travel", "$seen")),
    (170, "Choir <choir@example.org>", "Rehearsal moved to the school",
     "The church is being painted. We sing in the music room until Christmas.", ("$seen",)),
    (220, "Bob <bob@postriver.test>", "Bicycle",
     "Your bicycle is in our shed, dry and with air in its tyres.", ("$seen",)),
    (300, "Ann Lee <ann@example.org>", "River words",
     "Which one do you like better: towpath or riverbank?", ("$seen",)),
]  # fmt: skip
FILES = {"Invoice 2026-118": "Invoice-118.pdf", "주간 보고서 보내드립니다": "주간보고.pdf"}
TABLE = (
    "<p>Good, then let us do it like this:</p><table cellpadding=6 border=1 "
    "style='border-collapse:collapse'><tr><td>Basel</td><td>3 days</td></tr><tr><td>Strasbourg</td>"
    "<td>2 days</td></tr><tr><td>Mainz, along the river</td><td>2 days</td></tr></table>"
    "<p>The boats are quiet in April. I attach the map.</p><p>Maja</p>"
    "<blockquote>Yes, Basel first, then down the Rhine.</blockquote>"
)


def mail(sender: str, subject: str, text: str, **fields: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["Subject"] = sender, subject
    made["To"] = fields.get("to", ME)
    made["Message-ID"] = fields.get("id", f"<{time.time_ns()}@example.org>")
    if "answers" in fields:
        made["References"] = fields["answers"]
    made.set_content(text)
    return made


def attach(made: EmailMessage, filename: str, kilobytes: int) -> EmailMessage:
    data = b"%PDF-1.4\n" + bytes(kilobytes * 1024)
    made.add_attachment(data, maintype="application", subtype="pdf", filename=filename)
    return made


async def fill(world: World) -> None:
    """Deliver mails to alice, name her and her labels; one mail is a conversation with answers."""
    now_ms = time.time_ns() // 1_000_000
    client = await world.signed()
    async with client.patch("/v1/me/settings", json={"labels": LABELS}) as response:
        assert response.status == 200, await response.text()
    for hours, sender, subject, text, keywords in MAILS:
        made = mail(sender, subject, text + SIGNED)
        if subject in FILES:
            attach(made, FILES[subject], 180)
        at_ms = now_ms - int(hours * HOUR_MS)
        await world.deliver(made.as_bytes(), at_ms=at_ms, keywords=keywords)
    await _conversation(world, now_ms)


async def _conversation(world: World, now_ms: int) -> None:
    first = mail(MAJA, "Spring tour", f"Shall we begin in Basel?{SIGNED}Maja\n", id="<1@x>")
    own = mail(ME, "Re: Spring tour", f"Yes, Basel first, then down the Rhine.{SIGNED}Alice\n",
               id="<2@x>", answers="<1@x>", to=MAJA)  # fmt: skip
    last = mail(MAJA, "Re: Spring tour", "Good, then let us do it like this.\n", answers="<1@x>")
    last.add_alternative(TABLE, subtype="html")
    attach(last, "Map of the tour.pdf", 640)
    for hours, made, fields in (
        (5.5, first, {"keywords": ("$seen", "travel")}),
        (4.2, own, {"keywords": ("$seen",), "folder_id": "sent"}),
        (1.2, last, {"keywords": ("travel",)}),
    ):
        await world.deliver(made.as_bytes(), at_ms=now_ms - int(hours * HOUR_MS), **fields)

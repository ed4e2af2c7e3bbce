"""What every Quarantine does. Inherit, give a `quarantine` fixture: the adapter is held to it."""

import msgspec
import pytest

from mail.errors import NotFound, Refused
from schemas.content import Stored
from schemas.mail import Envelope, HeaderSummary, Recipient, Verdict
from schemas.quarantine import Quarantined


def quarantined(mail_id: str, reason: str = "infected") -> Quarantined:
    return Quarantined(
        mail_id=mail_id,
        reason=reason,
        verdict=Verdict(outcome=reason, virus="Eicar", spam_tests=("A",)),
        envelope=Envelope(
            reverse_path="eve@example.net",
            recipients=(Recipient("ann@example.org", "u1", "d1"),),
        ),
        head=HeaderSummary(subject="무료"),
        content=Stored(mail_id, 68, "0" * 64),
        received_at_ms=1,
        quarantined_at_ms=2,
        hops=(),
    )


class QuarantineContract:
    async def test_an_empty_one(self, quarantine):
        assert await quarantine.get("m1") is None
        assert await quarantine.list(limit=10) == []

    async def test_a_row_comes_back_whole(self, quarantine):
        row = quarantined("m1")
        await quarantine.put(row)
        assert await quarantine.get("m1") == row
        assert await quarantine.list(limit=10) == [row]

    async def test_the_first_row_of_a_mail_stays(self, quarantine):
        row = quarantined("m1")
        await quarantine.put(row)
        await quarantine.put(msgspec.structs.replace(row, reason="spam", quarantined_at_ms=99))
        assert await quarantine.get("m1") == row
        assert await quarantine.list(limit=10) == [row]

    async def test_the_list_is_newest_first_by_pages(self, quarantine):
        for number in (3, 1, 5, 2, 4):
            await quarantine.put(quarantined(f"m{number}"))
        shown = []
        before = None
        while page := await quarantine.list(limit=2, before=before):
            shown += [row.mail_id for row in page]
            before = shown[-1]
        assert shown == ["m5", "m4", "m3", "m2", "m1"]
        assert [row.mail_id for row in await quarantine.list(limit=9, before="m3x")] == [
            "m3",
            "m2",
            "m1",
        ]

    @pytest.mark.parametrize("limit", [0, -1, 501])
    async def test_a_page_has_1_to_500_rows(self, quarantine, limit):
        with pytest.raises(Refused):
            await quarantine.list(limit=limit)

    async def test_the_list_of_one_reason(self, quarantine):
        for number, reason in enumerate(["spam", "infected", "spam", "infected"]):
            await quarantine.put(quarantined(f"m{number}", reason))
        shown = await quarantine.list(limit=9, reason="spam")
        assert [row.mail_id for row in shown] == ["m2", "m0"]
        shown = await quarantine.list(limit=1, reason="infected", before="m3")
        assert [row.mail_id for row in shown] == ["m1"]
        assert await quarantine.list(limit=9, reason="unscannable") == []

    async def test_a_release_is_unpublished_until_it_is_confirmed(self, quarantine):
        for number in range(4):
            await quarantine.put(quarantined(f"m{number}"))
        for number in (2, 1, 3):
            await quarantine.release(f"m{number}", by="olga", at_ms=7)
        shown = await quarantine.list_unpublished(limit=2)
        assert [row.mail_id for row in shown] == ["m1", "m2"]
        for mail_id in ("m1", "m1", "m0", "unknown"):
            await quarantine.mark_published(mail_id)
        await quarantine.delete("m2", by="olga", at_ms=8)
        await quarantine.mark_published("m2")
        assert [row.mail_id for row in await quarantine.list_unpublished(limit=9)] == ["m3"]
        assert not (await quarantine.get("m1")).unpublished
        await quarantine.release("m1", by="pavel", at_ms=9)
        again = await quarantine.list_unpublished(limit=9)
        assert [(row.mail_id, row.released_by) for row in again] == [("m1", "olga"), ("m3", "olga")]

    async def test_a_release_is_remembered_the_first_one_stays(self, quarantine):
        row = quarantined("m1")
        await quarantine.put(row)
        await quarantine.release("m1", by="olga", at_ms=7)
        await quarantine.release("m1", by="pavel", at_ms=8)
        released = msgspec.structs.replace(
            row, released_by="olga", released_at_ms=7, unpublished=True
        )
        assert await quarantine.get("m1") == released
        assert await quarantine.list(limit=9) == [released]
        assert await quarantine.get_many(["m1", "m2"]) == [released]

    async def test_what_was_deleted_leaves_its_end_and_nothing_personal(self, quarantine):
        row = quarantined("m1")
        await quarantine.put(row)
        await quarantine.delete("m1", by="olga", at_ms=7)
        await quarantine.put(row)
        assert await quarantine.list(limit=9) == []
        (kept,) = await quarantine.get_many(["m1"])
        assert (kept.deleted_at_ms, kept.deleted_by, kept.verdict) == (7, "olga", row.verdict)
        assert kept.head == HeaderSummary()
        assert kept.envelope.recipients == ()
        for act in (quarantine.release, quarantine.delete):
            for mail_id in ("m1", "m2"):
                with pytest.raises(NotFound):
                    await act(mail_id, by="olga", at_ms=9)

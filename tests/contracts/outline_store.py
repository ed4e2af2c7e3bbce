"""Contract of the OutlineStore port. Fixture: `outlines`, an empty store."""

import asyncio

from mail.ids import new_id
from mail.mime.outline.builder import OUTLINE_MAX_BYTES, outline_of
from schemas.outline import MailOutline
from tests.mail.mime.write_corpus import MAILS


def outline(subject: str) -> MailOutline:
    return outline_of(f"Subject: {subject}\r\n\r\nhi".encode())


class OutlineStoreContract:
    async def test_every_outline_comes_back_as_it_was(self, outlines):
        for name, content in MAILS.items():
            await outlines.put(name, outline_of(content))
        got = await outlines.get(list(MAILS))
        assert got == {name: outline_of(content) for name, content in MAILS.items()}

    async def test_the_largest_outline_comes_back(self, outlines):
        part = b"--b\r\nContent-ID: " + b"\xff" * 1_000 + b"\r\n\r\n"
        large = outline_of(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 900)
        assert not large.complete
        assert sum(len(each.content_id) for each in large.parts) > OUTLINE_MAX_BYTES // 2
        await outlines.put("m1", large)
        assert await outlines.get(["m1"]) == {"m1": large}

    async def test_only_those_that_exist_are_returned(self, outlines):
        await outlines.put("m1", outline("one"))
        assert await outlines.get(["m1", "m2", "m1"]) == {"m1": outline("one")}
        assert await outlines.get(["m2"]) == {}
        assert await outlines.get([]) == {}

    async def test_a_put_replaces_the_outline(self, outlines):
        for subject in ("one", "two", "two"):
            await outlines.put("m1", outline(subject))
        assert await outlines.get(["m1"]) == {"m1": outline("two")}
        assert await outlines.ids(after="", limit=9) == ["m1"]

    async def test_many_are_put_at_once(self, outlines):
        mail_ids = sorted(new_id() for _ in range(100))
        await asyncio.gather(*(outlines.put(mail_id, outline(mail_id)) for mail_id in mail_ids))
        got = await outlines.get(mail_ids)
        assert {id_: each.parts[0].envelope.subject for id_, each in got.items()} == {
            mail_id: mail_id for mail_id in mail_ids
        }

    async def test_a_deletion_is_of_the_given_mails(self, outlines):
        for mail_id in ("m1", "m2", "m3"):
            await outlines.put(mail_id, outline(mail_id))
        await outlines.delete(["m1", "m3", "m4", "../x"])
        await outlines.delete(["m1"])
        await outlines.delete([])
        assert list(await outlines.get(["m1", "m2", "m3"])) == ["m2"]
        await outlines.put("m1", outline("again"))
        assert await outlines.get(["m1"]) == {"m1": outline("again")}

    async def test_ids_are_read_by_pages(self, outlines):
        for mail_id in ("m3", "m1", "m5", "m2", "m4"):
            await outlines.put(mail_id, outline(mail_id))
        parts = [await outlines.ids(after="", limit=2)]
        while len(parts[-1]) == 2:
            parts.append(await outlines.ids(after=parts[-1][-1], limit=2))
        assert [len(part) for part in parts] == [2, 2, 1]
        assert sorted(mail_id for part in parts for mail_id in part) == [
            "m1",
            "m2",
            "m3",
            "m4",
            "m5",
        ]
        assert await outlines.ids(after=parts[-1][-1], limit=9) == []

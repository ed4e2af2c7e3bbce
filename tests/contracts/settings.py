"""Contract of the Settings port. Fixture: `directory`, an empty directory."""

import asyncio


class SettingsContract:
    async def test_a_setting_is_what_it_was_set_to_last(self, directory):
        await directory.set_setting("epoch:mail.received", "a-1")
        await directory.set_setting("epoch:mail.scanned", "b-1")
        await directory.set_setting("epoch:mail.received", "a-2")
        assert await directory.setting("epoch:mail.received") == "a-2"
        assert await directory.setting("epoch:mail.scanned") == "b-1"

    async def test_settings_are_found_by_what_their_names_begin_with(self, directory):
        for name in ("a:x", "a:y", "a", "b:x", "A:x"):
            await directory.set_setting(name, name * 2)
        assert await directory.settings("a:") == {"a:x": "a:xa:x", "a:y": "a:ya:y"}
        for _ in range(2):
            await directory.remove_setting("a:x")
        assert (await directory.setting("a:x"), await directory.setting("a:y")) == (None, "a:ya:y")
        assert await directory.settings("a:x") == {}

    async def test_a_setting_is_exchanged_for_the_value_that_was_read(self, directory):
        assert not await directory.exchange_setting("epoch:x", "1:a", "2:b")
        assert await directory.exchange_setting("epoch:x", None, "1:a")
        assert not await directory.exchange_setting("epoch:x", None, "1:b")
        assert not await directory.exchange_setting("epoch:x", "1:c", "2:c")
        assert await directory.setting("epoch:x") == "1:a"
        assert await directory.exchange_setting("epoch:x", "1:a", "2:b")
        assert await directory.settings("epoch:") == {"epoch:x": "2:b"}

    async def test_of_many_exchanges_at_once_one_is_made(self, directory):
        for round_ in "ab":
            known = await directory.setting("epoch:x")
            values = [f"{round_}{number}" for number in range(6)]
            done = await asyncio.gather(
                *(directory.exchange_setting("epoch:x", known, value) for value in values)
            )
            (made,) = [value for value, is_made in zip(values, done, strict=True) if is_made]
            assert await directory.setting("epoch:x") == made

"""Contract of the Settings port. Fixture: `directory`, an empty directory."""


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

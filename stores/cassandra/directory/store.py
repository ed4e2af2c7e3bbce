"""The directory: all parts over one session. Nothing is cached."""

from mail.ports import Directory
from stores.cassandra.directory.accounts import DomainsPart
from stores.cassandra.directory.acts import ActsPart
from stores.cassandra.directory.aliases import AddressesPart
from stores.cassandra.directory.part import DirectoryPart
from stores.cassandra.directory.sessions import SessionsPart
from stores.cassandra.directory.sign_ins import SignInsPart


class SettingsPart(DirectoryPart):
    """Settings of the installation."""

    async def setting(self, name: str) -> str | None:
        return await self.settings_by_name.get(name)

    async def settings(self, prefix: str) -> dict[str, str]:
        found: dict[str, str] = {}
        async for names in self.setting_names.after(prefix):
            values = await self.settings_by_name.get_many(names)
            pairs = zip(names, values, strict=True)
            found |= {name: value for name, value in pairs if value is not None}
            if not names[-1].startswith(prefix):
                break
        own = await self.setting(prefix) if prefix else None
        rows = {name: value for name, value in found.items() if name.startswith(prefix)}
        return rows if own is None else {prefix: own, **rows}

    async def set_setting(self, name: str, value: str) -> None:
        await self.settings_by_name.change(
            name, to=lambda _: value, first=lambda _: self.setting_names.put(name)
        )

    async def exchange_setting(self, name: str, before: str | None, after: str) -> bool:
        is_ours = False

        def to(known: str | None) -> str | None:
            nonlocal is_ours
            is_ours = known == before
            return after if is_ours else known

        await self.settings_by_name.change(
            name, to=to, first=lambda _: self.setting_names.put(name)
        )
        return is_ours

    async def remove_setting(self, name: str) -> None:
        await self.settings_by_name.change(name, to=lambda _: None)


class CassandraDirectory(
    DomainsPart, SessionsPart, AddressesPart, SignInsPart, ActsPart, SettingsPart, Directory
):
    """Directory over a session."""

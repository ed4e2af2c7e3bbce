"""Application passwords: one row of at most APP_PASSWORDS_MAX for each user."""

import msgspec

from mail.errors import NotFound
from mail.ports import APP_PASSWORDS_MAX, TooManyAppPasswords
from schemas.cql.directory import APP_PASSWORD_OWNER
from schemas.directory import AppPassword
from schemas.ids import UserId
from stores.cassandra.clock import now_us
from stores.cassandra.directory.accounts import UsersPart
from stores.cassandra.session import Statement

_OWNER = APP_PASSWORD_OWNER.select("user_id")
Rows = list[AppPassword]


class AppPasswordsPart(UsersPart):
    """Application passwords. `app_password_owner` leads from an id to its user."""

    async def add_app_password(self, app_password: AppPassword) -> None:
        if await self.user(app_password.user_id) is None:
            raise NotFound("there is no such user")
        id_ = app_password.app_password_id
        owner: Statement = (APP_PASSWORD_OWNER.put, (id_, app_password.user_id, now_us()))

        def added(rows: Rows | None) -> Rows:
            known = rows or []
            if any(row.app_password_id == id_ for row in known):
                return known
            if len(known) >= APP_PASSWORDS_MAX:
                raise TooManyAppPasswords
            return [*known, app_password]

        await self.passwords_of_user.change(app_password.user_id, to=added, first=lambda _: [owner])

    async def app_password(self, user_id: UserId, secret_sha256: str) -> AppPassword | None:
        rows = await self._of_user(user_id)
        return next((row for row in rows if row.secret_sha256 == secret_sha256), None)

    async def app_passwords(self, user_id: UserId) -> list[AppPassword]:
        rows = await self._of_user(user_id)
        return sorted(rows, key=lambda row: (row.created_at_ms, row.app_password_id), reverse=True)

    async def _of_user(self, user_id: UserId) -> Rows:
        return await self.passwords_of_user.get(user_id) or []

    async def use_app_password(
        self, app_password_id: str, *, at_ms: int, protocol: str, network: str
    ) -> None:
        owner = await self._session.read(_OWNER, app_password_id)

        def used(row: AppPassword) -> AppPassword:
            if row.app_password_id != app_password_id or row.used_at_ms >= at_ms:
                return row
            return msgspec.structs.replace(
                row, used_at_ms=at_ms, used_protocol=protocol, used_network=network
            )

        if owner:
            await self.passwords_of_user.change(
                owner[0][0], to=lambda rows: None if rows is None else [used(row) for row in rows]
            )

    async def revoke_app_password(self, user_id: UserId, app_password_id: str) -> None:
        def without(rows: Rows | None) -> Rows:
            rest = [row for row in rows or [] if row.app_password_id != app_password_id]
            if len(rest) == len(rows or []):
                raise NotFound("there is no such application password")
            return rest

        await self.passwords_of_user.change(user_id, to=without)
        await self._session.write([(APP_PASSWORD_OWNER.delete(), (now_us(), app_password_id))])

    async def revoke_app_passwords(self, user_id: UserId) -> None:
        """Revoke all application passwords of the user."""
        await self.passwords_of_user.change(user_id, to=lambda rows: None if rows is None else [])

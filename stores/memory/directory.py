"""Directory in memory."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from mail.addresses import normal_address, normal_domain
from mail.errors import AlreadyExists, NotFound
from mail.pagination import NEWEST, ListPosition, RowPage, check_limit, row_page
from mail.ports import (
    APP_PASSWORDS_MAX,
    SESSIONS_KEPT,
    SIGN_INS_KEPT,
    Directory,
    TooManyAppPasswords,
)
from schemas.directory import (
    Alias,
    AppPassword,
    Domain,
    OperatorAct,
    Quota,
    Session,
    SignIn,
    User,
    UserRole,
)
from schemas.ids import DomainId, UserId
from stores.memory.faults import FaultHook, no_fault, take_step

T = TypeVar("T")


class MemoryDirectory(Directory):
    """Steps for `fault`: read, write."""

    def __init__(self, *, fault: FaultHook = no_fault) -> None:
        self.fault = fault
        self._domains: dict[str, Domain] = {}
        self._users: dict[str, User] = {}
        self._ids: dict[str, str] = {}  # of users, by address
        self._aliases: dict[str, Alias] = {}
        self._app_passwords: dict[str, AppPassword] = {}
        self._sessions: dict[str, Session] = {}
        self._session_ends: list[str] = []
        self._sign_ins: dict[str, SignIn] = {}
        self._acts: dict[str, OperatorAct] = {}
        self._settings: dict[str, str] = {}

    async def add_domain(self, domain: Domain, postmaster: User) -> None:
        normal = msgspec.structs.replace(domain, name=normal_domain(domain.name))
        await take_step(self.fault, "write")
        for known in self._domains.values():
            if (known.domain_id == normal.domain_id) != (known.name == normal.name):
                raise AlreadyExists(f"the domain {normal.name} exists already")
        self._put_user(postmaster)
        self._domains.setdefault(normal.domain_id, normal)

    async def list_domains(self, *, cursor: str | None = None, limit: int) -> RowPage[Domain]:
        await take_step(self.fault, "read")
        rows = {domain.name: domain for domain in self._domains.values()}
        return _page(rows, cursor, limit)

    async def domain(self, name: str) -> Domain | None:
        normal = normal_domain(name)
        await take_step(self.fault, "read")
        return next((known for known in self._domains.values() if known.name == normal), None)

    async def domain_by_id(self, domain_id: DomainId) -> Domain | None:
        await take_step(self.fault, "read")
        return self._domains.get(domain_id)

    async def set_catch_all(self, domain_id: DomainId, address: str) -> None:
        await self._change_domain(domain_id, catch_all=address)

    async def set_domain_quota(self, domain_id: DomainId, quota: Quota) -> None:
        await self._change_domain(domain_id, quota=quota)

    async def _change_domain(self, domain_id: DomainId, **fields: Any) -> None:
        await take_step(self.fault, "write")
        changed = msgspec.structs.replace(self._known_domain(domain_id), **fields)
        self._domains[domain_id] = changed

    async def add_user(self, user: User) -> None:
        await take_step(self.fault, "write")
        self._known_domain(user.domain_id)
        self._put_user(user)

    async def list_users(self, *, cursor: str | None = None, limit: int) -> RowPage[User]:
        await take_step(self.fault, "read")
        rows = {address: self._users[user_id] for address, user_id in self._ids.items()}
        return _page(rows, cursor, limit)

    async def user(self, user_id: UserId) -> User | None:
        await take_step(self.fault, "read")
        return self._users.get(user_id)

    async def user_by_address(self, address: str) -> User | None:
        normal = normal_address(address)
        await take_step(self.fault, "read")
        return self._users.get(self._ids.get(normal, ""))

    async def find(self, addresses: Sequence[str]) -> dict[str, User | Alias]:
        await take_step(self.fault, "read")
        found: dict[str, User | Alias] = {}
        for address in addresses:
            if address in self._ids:
                found[address] = self._users[self._ids[address]]
            elif address in self._aliases:
                found[address] = self._aliases[address]
        return found

    async def list_aliases(self, *, cursor: str | None = None, limit: int) -> RowPage[Alias]:
        await take_step(self.fault, "read")
        return _page(self._aliases, cursor, limit)

    async def add_alias(self, alias: Alias) -> None:
        await take_step(self.fault, "write")
        self._known_domain(alias.domain_id)
        before = self._aliases.get(alias.address, alias)
        together = tuple(sorted({*before.targets, *alias.targets}))
        grown = before.is_group or together == alias.targets
        if alias.address in self._ids or before.is_group != alias.is_group or not grown:
            raise AlreadyExists(f"the address {alias.address} exists already")
        self._aliases[alias.address] = msgspec.structs.replace(before, targets=together)

    async def remove_alias(self, address: str) -> None:
        await take_step(self.fault, "write")
        if self._aliases.pop(address, None) is None:
            raise NotFound("there is no such alias")

    async def remove_target(self, address: str, target: str) -> None:
        await take_step(self.fault, "write")
        alias = self._aliases.get(address)
        if alias is None or target not in alias.targets:
            raise NotFound("it leads to no such address")
        rest = tuple(one for one in alias.targets if one != target)
        self._aliases[address] = msgspec.structs.replace(alias, targets=rest)

    async def addresses_leading_to(self, target: str) -> list[str]:
        await take_step(self.fault, "read")
        caught = [f"*@{one.name}" for one in self._domains.values() if one.catch_all == target]
        return sorted(caught + [a.address for a in self._aliases.values() if target in a.targets])

    async def set_password(
        self,
        user_id: UserId,
        password_hash: str,
        *,
        keep_session: str | None = None,
        revoke_app_passwords: bool = False,
    ) -> None:
        await self._change_user(user_id, password_hash=password_hash)
        self._end_sessions(user_id, but=keep_session)
        if revoke_app_passwords:
            self._revoke_app_passwords(user_id)

    async def set_disabled(self, user_id: UserId, *, disabled: bool) -> None:
        await self._change_user(user_id, disabled=disabled)
        if disabled:
            self._end_sessions(user_id)

    async def set_role(self, user_id: UserId, role: UserRole) -> None:
        await self._change_user(user_id, role=role)

    async def set_user_quota(self, user_id: UserId, quota: Quota) -> None:
        await self._change_user(user_id, quota=quota)

    async def _change_user(self, user_id: UserId, **fields: Any) -> None:
        await take_step(self.fault, "write")
        self._users[user_id] = msgspec.structs.replace(self._known(user_id), **fields)

    async def add_app_password(self, app_password: AppPassword) -> None:
        await take_step(self.fault, "write")
        self._known(app_password.user_id)
        if app_password.app_password_id not in self._app_passwords:
            if len(self._app_passwords_of(app_password.user_id)) >= APP_PASSWORDS_MAX:
                raise TooManyAppPasswords
            self._app_passwords[app_password.app_password_id] = app_password

    async def app_password(self, user_id: UserId, secret_sha256: str) -> AppPassword | None:
        await take_step(self.fault, "read")
        rows = self._app_passwords_of(user_id)
        return next((row for row in rows if row.secret_sha256 == secret_sha256), None)

    async def app_passwords(self, user_id: UserId) -> list[AppPassword]:
        await take_step(self.fault, "read")
        return self._app_passwords_of(user_id)

    async def use_app_password(
        self, app_password_id: str, *, at_ms: int, protocol: str, network: str
    ) -> None:
        await take_step(self.fault, "write")
        row = self._app_passwords.get(app_password_id)
        if row is not None and row.used_at_ms < at_ms:
            self._app_passwords[app_password_id] = msgspec.structs.replace(
                row, used_at_ms=at_ms, used_protocol=protocol, used_network=network
            )

    async def revoke_app_password(self, user_id: UserId, app_password_id: str) -> None:
        await take_step(self.fault, "write")
        row = self._app_passwords.get(app_password_id)
        if row is None or row.user_id != user_id:
            raise NotFound("there is no such application password")
        del self._app_passwords[app_password_id]

    async def add_session(self, session: Session) -> None:
        await take_step(self.fault, "write")
        self._known(session.user_id)
        self._sessions.setdefault(session.token_sha256, session)
        for row in self._newest_first(session.user_id)[SESSIONS_KEPT:]:
            self._end(row.token_sha256)

    async def session(self, token_sha256: str) -> Session | None:
        await take_step(self.fault, "read")
        return self._sessions.get(token_sha256)

    async def session_and_user(self, token_sha256: str) -> tuple[Session, User] | None:
        session = await self.session(token_sha256)
        return None if session is None else (session, self._users[session.user_id])

    async def sessions(self, user_id: UserId, *, limit: int) -> list[Session]:
        await take_step(self.fault, "read")
        return self._newest_first(user_id)[:limit]

    async def use_session(self, token_sha256: str, *, at_ms: int) -> None:
        await take_step(self.fault, "write")
        row = self._sessions.get(token_sha256)
        if row is not None and row.used_at_ms < at_ms:
            used = msgspec.structs.replace(row, used_at_ms=at_ms)
            self._sessions[token_sha256] = used

    async def end_session(self, token_sha256: str) -> None:
        await take_step(self.fault, "write")
        self._end(token_sha256)

    async def session_ends(self, after: int | None) -> tuple[list[str], int]:
        await take_step(self.fault, "read")
        place = len(self._session_ends) if after is None else after
        found = self._session_ends[place : place + 1000]
        return found, place + len(found)

    async def prune_sessions(self, now_ms: int) -> int:
        await take_step(self.fault, "write")
        gone = [key for key, row in self._sessions.items() if row.expires_at_ms <= now_ms]
        for token_sha256 in gone:
            self._end(token_sha256)
        return len(gone)

    async def add_sign_in(self, sign_in: SignIn) -> None:
        await take_step(self.fault, "write")
        self._sign_ins.setdefault(sign_in.sign_in_id, sign_in)
        alike = [row for row in self._sorted(sign_in.user_id) if row.outcome == sign_in.outcome]
        for row in alike[SIGN_INS_KEPT:]:
            del self._sign_ins[row.sign_in_id]

    async def sign_ins(
        self, user_id: UserId, *, limit: int, before: ListPosition = NEWEST
    ) -> list[SignIn]:
        await take_step(self.fault, "read")
        return [row for row in self._sorted(user_id) if _place(row) < before][:limit]

    async def sign_in_sources(self, user_id: UserId, *, since_ms: int) -> list[tuple[str, str]]:
        await take_step(self.fault, "read")
        rows = (row for row in self._sorted(user_id) if row.at_ms >= since_ms)
        return list({(row.peer, row.device) for row in rows if row.outcome == "success"})

    async def prune_sign_ins(self, *, before_ms: int) -> int:
        await take_step(self.fault, "write")
        kept = {id_: row for id_, row in self._sign_ins.items() if row.at_ms >= before_ms}
        gone, self._sign_ins = len(self._sign_ins) - len(kept), kept
        return gone

    async def add_act(self, act: OperatorAct) -> None:
        await take_step(self.fault, "write")
        self._acts.setdefault(act.act_id, act)

    async def end_act(self, act_id: str, outcome: str) -> None:
        await take_step(self.fault, "write")
        act = self._acts.get(act_id)
        if act is not None and not act.outcome:
            self._acts[act_id] = msgspec.structs.replace(act, outcome=outcome)

    async def acts(self, *, limit: int, before: ListPosition = NEWEST) -> list[OperatorAct]:
        await take_step(self.fault, "read")
        rows = sorted(self._acts.values(), key=lambda row: (row.at_ms, row.act_id), reverse=True)
        return [row for row in rows if (row.at_ms, row.act_id) < before][:limit]

    async def prune_acts(self, *, before_ms: int) -> int:
        await take_step(self.fault, "write")
        kept = {id_: row for id_, row in self._acts.items() if row.at_ms >= before_ms}
        gone, self._acts = len(self._acts) - len(kept), kept
        return gone

    async def setting(self, name: str) -> str | None:
        await take_step(self.fault, "read")
        return self._settings.get(name)

    async def settings(self, prefix: str) -> dict[str, str]:
        await take_step(self.fault, "read")
        return {name: it for name, it in self._settings.items() if name.startswith(prefix)}

    async def set_setting(self, name: str, value: str) -> None:
        await take_step(self.fault, "write")
        self._settings[name] = value

    async def exchange_setting(self, name: str, before: str | None, after: str) -> bool:
        await take_step(self.fault, "write")
        if self._settings.get(name) != before:
            return False
        self._settings[name] = after
        return True

    async def remove_setting(self, name: str) -> None:
        await take_step(self.fault, "write")
        self._settings.pop(name, None)

    def _sorted(self, user_id: UserId) -> list[SignIn]:
        rows = [row for row in self._sign_ins.values() if row.user_id == user_id]
        return sorted(rows, key=_place, reverse=True)

    def _known(self, user_id: UserId) -> User:
        try:
            return self._users[user_id]
        except KeyError:
            raise NotFound("there is no such user") from None

    def _known_domain(self, domain_id: DomainId) -> Domain:
        try:
            return self._domains[domain_id]
        except KeyError:
            raise NotFound("there is no such domain") from None

    def _put_user(self, user: User) -> None:
        """Raises AlreadyExists: the address is taken, or the user id has another address."""
        normal, known = normal_address(user.address), self._users.get(user.user_id)
        same = known is None or normal_address(known.address) == normal
        if self._ids.get(normal, user.user_id) != user.user_id or not same:
            raise AlreadyExists(f"the address {user.address} exists already")
        if normal in self._aliases:
            raise AlreadyExists(f"the address {user.address} exists already")
        self._users.setdefault(user.user_id, user)
        self._ids[normal] = user.user_id

    def _app_passwords_of(self, user_id: UserId) -> list[AppPassword]:
        rows = [row for row in self._app_passwords.values() if row.user_id == user_id]
        return sorted(rows, key=lambda r: (r.created_at_ms, r.app_password_id), reverse=True)

    def _revoke_app_passwords(self, user_id: UserId) -> None:
        for row in self._app_passwords_of(user_id):
            del self._app_passwords[row.app_password_id]

    def _end_sessions(self, user_id: UserId, *, but: str | None = None) -> None:
        for row in self._newest_first(user_id):
            if row.token_sha256 != but:
                self._end(row.token_sha256)

    def _end(self, token_sha256: str) -> None:
        if self._sessions.pop(token_sha256, None) is not None:
            self._session_ends.append(token_sha256)

    def _newest_first(self, user_id: UserId) -> list[Session]:
        found = [row for row in self._sessions.values() if row.user_id == user_id]
        return sorted(found, key=lambda row: (-row.created_at_ms, row.token_sha256))


def _page(rows: Mapping[str, T], cursor: str | None, limit: int) -> RowPage[T]:
    """The page of `rows` behind `cursor`, in the order of their keys."""
    check_limit(limit)
    keys = sorted(key for key in rows if cursor is None or key > cursor)
    page = row_page(keys, limit, str)
    return RowPage([rows[key] for key in page.rows], page.cursor)


def _place(row: SignIn) -> ListPosition:
    return row.at_ms, row.sign_in_id

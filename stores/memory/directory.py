"""Directory in memory."""

import msgspec

from mail.addresses import normal_address, normal_domain
from mail.errors import AlreadyExists, NotFound
from mail.ports import Directory
from schemas.records import Domain, Session, User
from stores.memory.faults import Fault, no_fault, take_step


class MemoryDirectory(Directory):
    """Steps that `fault` meets: read, write."""

    def __init__(self, *, fault: Fault = no_fault) -> None:
        self.fault = fault
        self._domains: dict[str, Domain] = {}
        self._users: dict[str, User] = {}
        self._sessions: dict[str, Session] = {}
        self._settings: dict[str, str] = {}

    async def add_domain(self, domain: Domain, postmaster: User) -> None:
        normal = msgspec.structs.replace(domain, name=normal_domain(domain.name))
        await take_step(self.fault, "write")
        for known in self._domains.values():
            if (known.domain_id == normal.domain_id) != (known.name == normal.name):
                raise AlreadyExists(f"the domain {normal.name} exists already")
        self._check_address(postmaster)
        self._domains.setdefault(normal.domain_id, normal)
        self._users.setdefault(postmaster.user_id, postmaster)

    async def domains(self) -> list[Domain]:
        await take_step(self.fault, "read")
        return sorted(self._domains.values(), key=lambda domain: domain.name)

    async def domain(self, name: str) -> Domain | None:
        normal = normal_domain(name)
        await take_step(self.fault, "read")
        return next((known for known in self._domains.values() if known.name == normal), None)

    async def add_user(self, user: User) -> None:
        await take_step(self.fault, "write")
        if user.domain_id not in self._domains:
            raise NotFound("there is no such domain")
        self._check_address(user)
        self._users.setdefault(user.user_id, user)

    async def users(self) -> list[User]:
        await take_step(self.fault, "read")
        return sorted(self._users.values(), key=lambda user: normal_address(user.address))

    async def user(self, user_id: str) -> User | None:
        await take_step(self.fault, "read")
        return self._users.get(user_id)

    async def user_by_address(self, address: str) -> User | None:
        normal = normal_address(address)
        await take_step(self.fault, "read")
        return next((u for u in self._users.values() if normal_address(u.address) == normal), None)

    async def set_password(self, user_id: str, password_hash: str) -> None:
        await take_step(self.fault, "write")
        user = self._known(user_id)
        self._users[user_id] = msgspec.structs.replace(user, password_hash=password_hash)
        self._end_sessions(user_id)

    async def set_disabled(self, user_id: str, *, disabled: bool) -> None:
        await take_step(self.fault, "write")
        user = self._known(user_id)
        self._users[user_id] = msgspec.structs.replace(user, disabled=disabled)
        if disabled:
            self._end_sessions(user_id)

    async def add_session(self, session: Session) -> None:
        await take_step(self.fault, "write")
        self._known(session.user_id)
        self._sessions.setdefault(session.token_sha256, session)

    async def session(self, token_sha256: str) -> Session | None:
        await take_step(self.fault, "read")
        return self._sessions.get(token_sha256)

    async def end_session(self, token_sha256: str) -> None:
        await take_step(self.fault, "write")
        self._sessions.pop(token_sha256, None)

    async def prune_sessions(self, now_ms: int) -> int:
        await take_step(self.fault, "write")
        kept = {key: row for key, row in self._sessions.items() if row.expires_at_ms > now_ms}
        gone, self._sessions = len(self._sessions) - len(kept), kept
        return gone

    async def setting(self, name: str) -> str | None:
        await take_step(self.fault, "read")
        return self._settings.get(name)

    async def set_setting(self, name: str, value: str) -> None:
        await take_step(self.fault, "write")
        self._settings[name] = value

    def _known(self, user_id: str) -> User:
        try:
            return self._users[user_id]
        except KeyError:
            raise NotFound("there is no such user") from None

    def _check_address(self, user: User) -> None:
        """AlreadyExists: the address is another user's, or the id has another address."""
        normal = normal_address(user.address)
        for known in self._users.values():
            if (known.user_id == user.user_id) != (normal_address(known.address) == normal):
                raise AlreadyExists(f"the address {user.address} exists already")

    def _end_sessions(self, user_id: str) -> None:
        kept = {key: row for key, row in self._sessions.items() if row.user_id != user_id}
        self._sessions = kept

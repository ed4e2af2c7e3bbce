"""The rows that the parts of the directory share."""

from schemas.cql.directory import (
    ADDRESS,
    APP_PASSWORDS,
    DIRECTORY,
    DOMAIN,
    DOMAIN_NAME,
    LEADS_TO,
    SETTING,
    USER_ADDRESS,
    StoredAddress,
    StoredDomain,
)
from schemas.directory import AppPassword, Domain
from schemas.ids import DomainId, UserId
from stores.cassandra.base import CassandraStore
from stores.cassandra.clock import now_us
from stores.cassandra.due_entries import DueEntries
from stores.cassandra.guarded_rows import GuardedRows
from stores.cassandra.listed_names import ListedNames
from stores.cassandra.session import CassandraSession, Statement


class DirectoryPart(CassandraStore):
    """A part of the directory over a session."""

    schemas = {"directory": DIRECTORY}  # noqa: RUF012

    def __init__(self, session: CassandraSession) -> None:
        super().__init__(session)
        self.addresses: GuardedRows[StoredAddress] = GuardedRows(session, ADDRESS, StoredAddress)
        self.address_of_user: GuardedRows[str] = GuardedRows(session, USER_ADDRESS, str)
        self.known_addresses: dict[UserId, str] = {}  # of users that were found there
        self.known_users: dict[str, UserId] = {}  # of sessions that were found, by token hash
        self.domains: GuardedRows[StoredDomain] = GuardedRows(session, DOMAIN, StoredDomain)
        self.name_of_domain: GuardedRows[str] = GuardedRows(session, DOMAIN_NAME, str)
        self.settings_by_name: GuardedRows[str] = GuardedRows(session, SETTING, str)
        self.passwords_of_user: GuardedRows[list[AppPassword]] = GuardedRows(
            session, APP_PASSWORDS, list[AppPassword]
        )
        self.domain_names = ListedNames(session, "domain")
        self.alias_names = ListedNames(session, "alias")
        self.setting_names = ListedNames(session, "setting")
        self.expiring_sessions = DueEntries(session, "session")

    async def domain_by_id(self, domain_id: DomainId) -> Domain | None:
        name = await self.name_of_domain.get(domain_id)
        stored = None if name is None else await self.domains.get(name)
        if stored is None or stored.postmaster is not None or stored.domain.domain_id != domain_id:
            return None
        return stored.domain


def leading(targets: tuple[str, ...], address: str) -> list[Statement]:
    """The statements that list `address` at each of its targets."""
    at_us = now_us()
    return [(LEADS_TO.put, (target, address, at_us)) for target in targets if target]

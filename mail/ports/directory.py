"""Domains, users and addresses, and the checks that ingress makes on them."""

from collections.abc import Sequence
from typing import Protocol

from mail.pagination import RowPage
from mail.ports.app_passwords import AppPasswords
from mail.ports.operator_acts import OperatorActs
from mail.ports.sessions import Sessions, SignIns
from mail.ports.settings import Settings
from schemas.directory import Alias, Domain, Owner, Quota, User, UserRole
from schemas.ids import DomainId, UserId


class Domains(Protocol):
    """Domains that the service receives mail for."""

    async def add_domain(self, domain: Domain, postmaster: User) -> None:
        """Add `domain` together with its first user. Raises AlreadyExists."""
        ...

    async def list_domains(self, *, cursor: str | None = None, limit: int) -> RowPage[Domain]:
        """Return a page of domains, by name. 1 <= limit <= PAGE_MAX."""
        ...

    async def domain(self, name: str) -> Domain | None:
        """Return a domain by its normal form (mail/addresses.py)."""
        ...

    async def domain_by_id(self, domain_id: DomainId) -> Domain | None: ...

    async def set_catch_all(self, domain_id: DomainId, address: str) -> None:
        """Set the address for mail without another owner; "": none. Raises NotFound."""
        ...

    async def set_domain_quota(self, domain_id: DomainId, quota: Quota) -> None:
        """Raises NotFound."""
        ...


class Users(Protocol):
    """Users of the domains."""

    async def add_user(self, user: User) -> None:
        """Raises AlreadyExists: the address is taken; NotFound: no such domain."""
        ...

    async def list_users(self, *, cursor: str | None = None, limit: int) -> RowPage[User]:
        """Return a page of users, in an order of the store's own. 1 <= limit <= PAGE_MAX."""
        ...

    async def user(self, user_id: UserId) -> User | None: ...

    async def user_by_address(self, address: str) -> User | None:
        """Return a user by the normal form of `address`; plus-addresses are not resolved."""
        ...

    async def set_user_quota(self, user_id: UserId, quota: Quota) -> None:
        """Raises NotFound."""
        ...

    async def set_password(
        self,
        user_id: UserId,
        password_hash: str,
        *,
        keep_session: str | None = None,
        revoke_app_passwords: bool = False,
    ) -> None:
        """Set the hash and end the user's sessions, except that of token SHA-256 `keep_session`.

        Application passwords are kept unless `revoke_app_passwords`. Atomic. Raises NotFound.
        """
        ...

    async def set_role(self, user_id: UserId, role: UserRole) -> None:
        """Raises NotFound."""
        ...

    async def set_disabled(self, user_id: UserId, *, disabled: bool) -> None:
        """Disable or enable sign-in; disabling ends the user's sessions. Mail is still accepted.

        Raises NotFound.
        """
        ...


class Addresses(Protocol):
    """Addresses in their normal form: users by address, aliases and groups."""

    async def find(self, addresses: Sequence[str]) -> dict[str, User | Alias]:
        """Return the user or alias of each of `addresses` that exists."""
        ...

    async def list_aliases(self, *, cursor: str | None = None, limit: int) -> RowPage[Alias]:
        """Return a page of aliases and groups, by address. 1 <= limit <= PAGE_MAX."""
        ...

    async def add_alias(self, alias: Alias) -> None:
        """Add an alias or group; to a group that exists, add the targets.

        Raises AlreadyExists: the address is taken otherwise; NotFound: no such domain.
        """
        ...

    async def remove_alias(self, address: str) -> None:
        """Remove an alias or group with all its targets. Raises NotFound."""
        ...

    async def remove_target(self, address: str, target: str) -> None:
        """Raises NotFound: no such alias, or `target` is not among its targets."""
        ...

    async def addresses_leading_to(self, target: str) -> list[str]:
        """Return the addresses of aliases and groups with the target `target`, sorted.

        A domain with the catch-all `target` is listed as *@domain.
        """
        ...


class Directory(
    Domains,
    Users,
    Addresses,
    AppPasswords,
    Sessions,
    SignIns,
    OperatorActs,
    Settings,
    Protocol,
):
    """All ports of the directory, for the composition root; callers name the ports they use."""


class Resolver(Protocol):
    """Forward-paths to owners; implemented by mail/directory/recipient_resolver.py."""

    async def resolve(self, forward_path: str) -> tuple[Owner, ...]:
        """Return the owners of a forward-path: at least one, each once.

        Raises NotFound: no owner; Refused: not a domain of ours; BadAddress.
        """
        ...


class QuotaCheck(Protocol):
    """Quotas, before a mail is accepted; implemented by mail/directory/quotas.py."""

    async def has_room(self, owners: Sequence[Owner], *, size_bytes: int) -> bool:
        """Whether at least one of `owners` has room for a mail; `size_bytes` 0: size not known.

        Cheap. True while the stores do not answer: accepted mail waits in the log.
        """
        ...

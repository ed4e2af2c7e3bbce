"""Domains, people, addresses, and the room that they have."""

from collections.abc import Sequence
from typing import Protocol

from mail.pagination import NEWEST, ListPosition
from schemas.directory import Alias, Domain, Owner, Quota, Session, SignIn, User

SIGN_INS_KEPT = 1_000  # of one user and outcome
SESSIONS_KEPT = 200  # of one user


class Directory(Protocol):
    """Domains, users, aliases, sign-ins. Addresses become opaque ids here and nowhere else."""

    async def add_domain(self, domain: Domain, postmaster: User) -> None:
        """AlreadyExists."""
        ...

    async def domains(self) -> list[Domain]: ...

    async def domain(self, name: str) -> Domain | None:
        """By its normal form (mail/addresses.py)."""
        ...

    async def domain_of(self, domain_id: str) -> Domain | None: ...

    async def add_user(self, user: User) -> None:
        """AlreadyExists: the address is taken. NotFound: no such domain."""
        ...

    async def users(self) -> list[User]: ...

    async def user(self, user_id: str) -> User | None: ...

    async def user_by_address(self, address: str) -> User | None:
        """By the address's normal form; no plus-address is resolved here."""
        ...

    async def find(self, addresses: Sequence[str]) -> dict[str, User | Alias]:
        """Who or what those of `addresses` are that are known; all in their normal form."""
        ...

    async def aliases(self) -> list[Alias]:
        """Aliases and groups, by address."""
        ...

    async def add_alias(self, alias: Alias) -> None:
        """Make it; of a group that is there already, the targets are added to those it has.

        AlreadyExists: the address is taken otherwise. NotFound: no such domain.
        """
        ...

    async def remove_alias(self, address: str) -> None:
        """With all its targets. NotFound."""
        ...

    async def remove_target(self, address: str, target: str) -> None:
        """NotFound: no such alias, or it has no such target."""
        ...

    async def leading_to(self, target: str) -> list[str]:
        """Addresses of aliases and groups that have `target` in their list, sorted.

        A domain's catch-all is told as *@domain.
        """
        ...

    async def set_catch_all(self, domain_id: str, address: str) -> None:
        """NotFound. An empty address: there is none from now on."""
        ...

    async def set_user_quota(self, user_id: str, quota: Quota) -> None:
        """NotFound."""
        ...

    async def set_domain_quota(self, domain_id: str, quota: Quota) -> None:
        """NotFound."""
        ...

    async def set_password(
        self, user_id: str, password_hash: str, *, keep_session: str | None = None
    ) -> None:
        """End the user's sessions, but for the one of token SHA-256 `keep_session`. NotFound."""
        ...

    async def set_disabled(self, user_id: str, *, disabled: bool) -> None:
        """Disabling ends the user's sessions; mail is still taken. NotFound."""
        ...

    async def add_session(self, session: Session) -> None:
        """Beyond the newest SESSIONS_KEPT of that user, older ones end. NotFound: no such user."""
        ...

    async def session(self, token_sha256: str) -> Session | None: ...

    async def sessions(self, user_id: str, *, limit: int) -> list[Session]:
        """The newest first, those that have expired too."""
        ...

    async def use_session(self, token_sha256: str, *, at_ms: int) -> None:
        """Remember the latest use. Ended: no error."""
        ...

    async def end_session(self, token_sha256: str) -> None: ...

    async def session_ends(self, after: int | None) -> tuple[list[str], int]:
        """Token SHA-256s of sessions that ended behind the place `after`, and the next place.

        Whatever ended them: sign-out, a new password, disabling, the limit, pruning. At most
        1,000 a call; None for `after` gives the present place alone. Kept for an hour.
        """
        ...

    async def prune_sessions(self, now_ms: int) -> int:
        """Forget those that have expired, and old `session_ends`; how many sessions there were."""
        ...

    async def note_sign_in(self, sign_in: SignIn) -> None:
        """Beyond the last SIGN_INS_KEPT of that user and outcome older ones are forgotten."""
        ...

    async def sign_ins(
        self, user_id: str, *, limit: int, before: ListPosition = NEWEST
    ) -> list[SignIn]:
        """Newest first; `before` is (at_ms, sign_in_id) of the last one seen."""
        ...

    async def sign_in_sources(self, user_id: str, *, since_ms: int) -> list[tuple[str, str]]:
        """Each peer and device with which the user signed in since then, in no order."""
        ...

    async def prune_sign_ins(self, *, before_ms: int) -> int:
        """Forget those that are older; how many there were."""
        ...

    async def setting(self, name: str) -> str | None:
        """A fact of this installation, such as a topic's epoch."""
        ...

    async def settings(self, prefix: str) -> dict[str, str]:
        """Those whose names begin with `prefix`, by name."""
        ...

    async def set_setting(self, name: str, value: str) -> None: ...

    async def remove_setting(self, name: str) -> None:
        """Nothing happens when there is none."""
        ...


class Resolver(Protocol):
    """What ingress asks of the directory; mail/directory/recipient_resolver.py gives it."""

    async def resolve(self, forward_path: str) -> tuple[Owner, ...]:
        """Whom it reaches: at least one, nobody twice.

        NotFound: nobody. Refused: not our domain. BadAddress.
        """
        ...


class QuotaCheck(Protocol):
    """What ingress asks before it takes a mail; mail/directory/quotas.py gives it."""

    async def has_room(self, owners: Sequence[Owner], *, size_bytes: int) -> bool:
        """Whether one of `owners` has room for a mail; its size is 0 when it is not known.

        Cheap, and true when nobody can tell: what was accepted waits in the log.
        """
        ...

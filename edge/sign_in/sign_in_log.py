"""Sign-in log: a row for each attempt to sign in, for its owner and for operators.

A mail program signs in with every connection. Its repeated rows would displace the rows of an
intruder, of which the directory keeps a limited number. So a process records equal sign-ins of mail
programs once an hour; wrong passwords and sign-ins that begin a session are all recorded.
"""

import time
from collections.abc import Callable

from edge.expiring_dict import ExpiringDict
from edge.sign_in.login_client import LoginClient
from mail.clock import now_ms
from mail.ids import new_id
from mail.ports import SignIns
from schemas.directory import AppPassword, SignIn, SignInOutcome, User
from schemas.ids import UserId

REPEATED_AFTER_S = 3600.0
_REMEMBERED_MAX = 10_000  # sign-ins; beyond it the oldest may be recorded sooner


def sign_in_of(
    outcome: SignInOutcome,
    user: User | None,
    client: LoginClient,
    *,
    app_password: AppPassword | None = None,
    missing_scope: str = "",
) -> SignIn:
    """The row of an attempt now; `user` None: the address belongs to no user.

    The device of a failure is not stored: it is not known to belong to the user.
    """
    return SignIn(
        sign_in_id=new_id(),
        user_id=user.user_id if user else UserId(""),
        at_ms=now_ms(),
        outcome=outcome,
        peer=client.peer,
        user_agent=client.user_agent,
        device=client.device if outcome == "success" else "",
        protocol=client.protocol,
        app_password_id=app_password.app_password_id if app_password else "",
        app_password_name=app_password.name if app_password else "",
        missing_scope=missing_scope,
    )


class SignInLog:
    """Writes rows of sign-ins. Every method raises StoreUnavailable."""

    def __init__(self, sign_ins: SignIns, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._sign_ins = sign_ins
        self._recorded: ExpiringDict[tuple[str, ...], bool] = ExpiringDict(
            keep_s=REPEATED_AFTER_S, entries_max=_REMEMBERED_MAX, clock=clock
        )

    async def add(self, row: SignIn) -> None:
        """Record `row`."""
        await self._sign_ins.add_sign_in(row)

    async def add_hourly(self, row: SignIn) -> None:
        """Record `row`, unless this process has recorded an equal attempt within an hour."""
        key = (
            row.user_id, row.outcome, row.protocol, row.peer, row.device, row.app_password_id,
            row.missing_scope,
        )  # fmt: skip
        if self._recorded.get(key) is None:
            await self.add(row)
            self._recorded.set(key, True)

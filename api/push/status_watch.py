"""Frames `admin.status`: the state of the stack, for sockets of operators that watch it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from api.push_connections import CloseReason
from mail.errors import Transient
from mail.ports import Users
from operations.stack_status import StackReport, StackStatus, StatusUnavailable
from schemas.ids import UserId

ADMIN_STATUS = "admin.status"


class AdminStatusFrame(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the stack, at first and then when it has changed; null: it is not known."""

    type: str = ADMIN_STATUS
    status: StackReport | None


class StatusReports:
    """The state of the stack, asked for once in `every_s` for all sockets of this process."""

    def __init__(self, stack: StackStatus, every_s: float) -> None:
        self.every_s = every_s
        self._stack = stack
        self._lock = asyncio.Lock()
        self._asked_s = -every_s
        self._frame = AdminStatusFrame(status=None)

    async def frame(self) -> AdminStatusFrame:
        async with self._lock:
            if time.monotonic() - self._asked_s >= self.every_s:
                self._frame = AdminStatusFrame(status=await self._report())
                self._asked_s = time.monotonic()
        return self._frame

    async def _report(self) -> StackReport | None:
        try:
            return await self._stack.report()
        except StatusUnavailable:
            return None


class StatusWatch:
    """What one socket watches. `reports` None: this process has no admin API."""

    def __init__(
        self,
        reports: StatusReports | None,
        users: Users,
        user_id: UserId,
        send: Callable[[str], Awaitable[None]],
    ) -> None:
        self._reports = reports
        self._users = users
        self._user_id = user_id
        self._send = send
        self._wanted = asyncio.Event()
        self._sent: AdminStatusFrame | None = None

    @property
    def is_watching(self) -> bool:
        return self._wanted.is_set()

    def want(self, what: tuple[str, ...]) -> bool:
        """Watch this from now on, and nothing else; False: there is no such thing."""
        if not set(what) <= {ADMIN_STATUS}:
            return False
        self._wanted.clear()
        self._sent = None
        if what:
            self._wanted.set()
        return True

    async def run(self) -> CloseReason:
        """Send what is wanted, as long as the user is an operator. Ends with the connection."""
        if self._reports is None:
            await asyncio.Event().wait()
        assert self._reports is not None
        try:
            while True:
                await self._wanted.wait()
                await self._turn(self._reports)
                await asyncio.sleep(self._reports.every_s)
        except ConnectionError:
            return 1006, ""

    async def _turn(self, reports: StatusReports) -> None:
        try:
            user = await self._users.user(self._user_id)
        except Transient:
            return
        if user is None or user.role != "operator":
            self._wanted.clear()
            return
        frame = await reports.frame()
        if frame != self._sent and self.is_watching:
            self._sent = frame
            await self._send(msgspec.json.encode(frame).decode())

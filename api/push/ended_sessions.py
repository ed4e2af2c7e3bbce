"""Close the sockets of sessions that ended anywhere: another edge, the command line, their time.

The directory lists the ends of sessions; each edge asks it twice a second for those that came.
"""

import asyncio

from api.push_connections import PushConnections
from mail.ports import Sessions


class EndedSessions:
    """One per process; sockets that opened before the first look are covered from then on."""

    def __init__(self, sessions: Sessions, sockets: PushConnections) -> None:
        self._sessions = sessions
        self._sockets = sockets
        self._place: int | None = None
        self._turn = asyncio.Lock()

    async def look(self) -> None:
        """Close what ended since the last look. StoreUnavailable."""
        async with self._turn:
            while True:
                found, self._place = await self._sessions.session_ends(self._place)
                for token_sha256 in found:
                    self._sockets.end_session(token_sha256)
                if not found:
                    return

"""Close the sockets of sessions that another process or the command line ended, or that expired.

The directory records ended sessions in order. Each API process polls it twice a second.
"""

import asyncio

from api.push_connections import PushConnections
from mail.ports import Sessions


class EndedSessions:
    """Poller of the directory's ended sessions, from the first poll on; one per process."""

    def __init__(self, sessions: Sessions, connections: PushConnections) -> None:
        self._sessions = sessions
        self._connections = connections
        self._position: int | None = None
        self._lock = asyncio.Lock()

    async def close_sockets(self) -> None:
        """Close the sockets of sessions that ended since the last poll. Raises StoreUnavailable."""
        async with self._lock:
            while True:
                ended, self._position = await self._sessions.session_ends(self._position)
                for token_sha256 in ended:
                    self._connections.end_session(token_sha256)
                if not ended:
                    return

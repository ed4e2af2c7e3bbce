"""Exclusive access to maildrops (RFC 1939 §4), within one process.

Several pop3 processes do not see each other's leases. A second session in another process has a
view of its own, and a message that one session deletes is gone for the other: `-ERR`.
"""

from schemas.ids import UserId


class MaildropLeases:
    """The users whose maildrop a session has open."""

    def __init__(self) -> None:
        self._users: set[UserId] = set()

    def take(self, user_id: UserId) -> bool:
        """Take the lease; False: another session has it. After True, `release` must follow."""
        if user_id in self._users:
            return False
        self._users.add(user_id)
        return True

    def release(self, user_id: UserId) -> None:
        """Release a lease that was taken."""
        self._users.remove(user_id)

"""Bounce addresses: the sender of the mail whose signed reverse-path an address is."""

from mail.clock import now_ms
from mail.directory.recipient_resolver import BounceAddresses
from mail.errors import BadAddress
from mail.ports import Users
from mail.ports.submissions import Submissions
from mail.sending.reverse_path import ReversePaths, is_bounce_address
from schemas.directory import User
from schemas.ids import SubmissionId


class SignedBounceAddresses(BounceAddresses):
    """Checks the signature, then looks up the submission and its user."""

    def __init__(self, paths: ReversePaths, submissions: Submissions, users: Users) -> None:
        self._paths = paths
        self._submissions = submissions
        self._users = users

    async def sender(self, forward_path: str) -> User | None:
        """Raises StoreUnavailable."""
        if not is_bounce_address(forward_path):
            return None
        try:
            mail_id = self._paths.mail_of(forward_path, now_ms=now_ms())
        except BadAddress:
            return None
        row = mail_id and await self._submissions.get(SubmissionId(mail_id))
        return await self._users.user(row.user_id) if row else None

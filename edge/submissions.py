"""Hand submissions over to their single writer, and wait for what it decided.

The writer reports a submission to the sender's mailbox as a step (agents/submission.py); the id of
that command is derived from the command to the submission, so the answer is known by its id.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from edge.mailbox_commands import CommandFailed, MailboxCommands, command_fields
from mail.errors import BrokerUnavailable
from mail.ids import note_id
from mail.ports import ContentStore
from schemas.content import CONTENT_INLINE_MAX_BYTES, Content, Inline
from schemas.directory import User
from schemas.events.mailbox_events import CommandAnswered, MailboxChanged
from schemas.events.sending import CancelSubmission, Submit
from schemas.ids import MailId, SubmissionId
from schemas.mail import Hop
from schemas.submissions import SubmissionNote, SubmittedMail


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRequest:
    """A mail to send, and when."""

    mail: SubmittedMail
    hops: tuple[Hop, ...] = ()
    hold_ms: int = 0  # from now on; 0: send at once
    idempotency_key: str = ""
    body_hash: str = ""


class Submitter:
    """Submissions of one process."""

    def __init__(self, commands: MailboxCommands, contents: ContentStore) -> None:
        self._commands = commands
        self._contents = contents

    async def submit(self, user: User, request: SubmissionRequest) -> SubmissionNote:
        """Send the mail, or hold it; return the submission's state.

        With an idempotency key that was used for an equal request, that is the first submission.
        Raises CommandFailed `refused`: the key was used for another request. StoreUnavailable:
        nothing was accepted. BrokerUnavailable: the mail was accepted or not; repeat the request
        with the same key.
        """
        fields = command_fields(user)
        at_ms = fields["at_ms"]
        command = Submit(
            **fields,
            mail=await with_small_contents(request.mail, self._contents),
            fire_at_ms=at_ms + request.hold_ms if request.hold_ms else 0,
            idempotency_key=request.idempotency_key,
            body_hash=request.body_hash,
            hops=request.hops,
        )
        return await self._note(command)

    async def cancel(self, user: User, submission_id: SubmissionId) -> SubmissionNote:
        """Cancel a held submission; return its state.

        Raises CommandFailed `conflict`: it was sent already; `not_found`. BrokerUnavailable.
        """
        command = CancelSubmission(**command_fields(user), submission_id=submission_id)
        return await self._note(command)

    async def _note(self, command: Submit | CancelSubmission) -> SubmissionNote:
        answer_id = note_id(command.command_id)
        (event,) = await self._commands.publish(command.user_id, [command], [answer_id])
        match event:
            case MailboxChanged(submission=SubmissionNote() as note):
                return note
            case CommandAnswered():
                raise CommandFailed(event.outcome, event.detail)
            case _:
                raise BrokerUnavailable("the submission was not answered in time")


async def with_small_contents(
    mail: SubmittedMail, contents: ContentStore, *, inline_max_bytes: int = CONTENT_INLINE_MAX_BYTES
) -> SubmittedMail:
    """The mail with contents of `inline_max_bytes` together; others are stored first.

    Raises StoreUnavailable.
    """
    changes: dict[str, Any] = {}
    left_bytes = inline_max_bytes
    for name, mail_id in (("content", mail.mail_id), ("sent_copy", mail.sent_mail_id)):
        content: Content | None = getattr(mail, name)
        if isinstance(content, Inline) and content.size_bytes > left_bytes:
            changes[name] = await contents.put(MailId(mail_id), content.data)
        elif isinstance(content, Inline):
            left_bytes -= content.size_bytes
    return msgspec.structs.replace(mail, **changes) if changes else mail

"""Under which name a message holds its mail's content (mail/ports/, Holders)."""

from mail.ids import message_id


def holder_of(mail_id: str, user_id: str, message: str) -> str:
    """`user:ID` for a mail that the user received; any other message has a name of its own.

    So a mail to oneself, which is two messages, is held until both are destroyed.
    """
    received = message_id(mail_id, user_id)
    return f"user:{user_id}" if message == received else f"message:{message}"

"""A person or service that a user exchanged mail with."""

import msgspec


class Correspondent(msgspec.Struct, frozen=True, kw_only=True):
    """Counts include messages that are destroyed by now."""

    address: str  # as it was written last
    name: str = ""  # display name of the last message that had one
    sent: int = 0  # messages from the user to the address
    received: int = 0  # messages from the address
    last_ms: int = 0  # received_at_ms of the newest of them

"""Fault of a field of an outgoing mail: where it is, and what is required there."""

from mail.errors import Refused


class ComposingFault(Refused):
    """A field that cannot be sent; `place` is its path in the request, such as `to[3].address`."""

    def __init__(self, place: str, detail: str) -> None:
        super().__init__(detail)
        self.place = place

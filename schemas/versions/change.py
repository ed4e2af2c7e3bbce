"""What brings a part of an engine to the version of this program, or would bring it there."""

import msgspec


class SchemaChange(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an engine: tables of a store, the topics, the indices of the search."""

    engine: str
    part: str
    found: int  # the version before; 0: the part did not exist
    version: int  # that of this program
    steps: tuple[str, ...] = ()
    live: bool = True  # processes of the version before may go on meanwhile

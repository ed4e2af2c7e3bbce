"""Migrations: the form of each SQLite schema of the embedded profile.

Migration N brings a file from version N to N+1 (PRAGMA user_version). A released migration is never
changed. A migration is a sequence of SQL statements, and of functions where SQL is not enough. Rows
are msgpack blobs; a column exists only if a query or a constraint needs it. Ids are text, times are
Unix milliseconds.
"""

from collections.abc import Callable
from typing import Any

Statements = tuple[str | Callable[[Any], None], ...]  # called with the connection

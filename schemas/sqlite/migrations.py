"""The embedded profile's tables, one schema per file, as migrations.

Migration N brings a file from version N to N+1 (PRAGMA user_version); a migration that was released
is never changed. A migration is SQL, and calls where SQL cannot do it. Rows are msgpack blobs; a
column exists only where a query or a constraint needs it. Ids are text, times Unix milliseconds.
"""

from collections.abc import Callable
from typing import Any

Statements = tuple[str | Callable[[Any], None], ...]  # called with the connection

"""Versions of the indices: each has the version of its mapping in its name."""

import re
from collections.abc import Sequence

from mail.errors import Fatal
from schemas.opensearch.search import SEARCH_VERSION
from schemas.versions.change import SchemaChange

PARTS = ("search", "progress")


def changes(names: Sequence[str], prefix: str) -> list[SchemaChange]:
    """Return what brings the indices, of which `names` exist, to the version of this program.

    Raises Fatal: an index has a newer version.
    """
    form = re.compile(rf"{re.escape(prefix)}-({'|'.join(PARTS)})-(\d+)")
    found = {(match[1], int(match[2])) for match in map(form.fullmatch, names) if match}
    newest = max((version for _, version in found), default=0)
    if newest > SEARCH_VERSION:
        raise Fatal(f"the search has version {newest}, this Postriver knows {SEARCH_VERSION}")
    missing = [part for part in PARTS if (part, SEARCH_VERSION) not in found]
    steps = tuple(f"index {prefix}-{part}-{SEARCH_VERSION}" for part in missing)
    change = SchemaChange(
        engine="opensearch", part="search", found=newest, version=SEARCH_VERSION, steps=steps
    )
    return [change] if missing else []

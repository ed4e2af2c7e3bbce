"""How the suite is spread over several workers (pytest -n): by file, or by folder where a folder's
tests share one broker or one whole stack. Folders that take longest begin first.
"""

from pathlib import Path

import pytest

SHARED = ("e2e", "streams", "river_tools")
LONGEST_FIRST = ("e2e", "chaos", "streams", "care", "river_tools", "mailbox_workers", "upgrade")


def _folder(item: pytest.Item) -> str:
    return Path(item.path).parent.name


def _rank(item: pytest.Item) -> int:
    folder = _folder(item)
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.hookimpl(trylast=True)  # after the order of this run was drawn
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):
        return
    items.sort(key=_rank)
    for item in items:
        folder = _folder(item)
        group = folder if folder in SHARED else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))

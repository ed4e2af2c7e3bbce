"""How the suite is spread over several workers (pytest -n --dist loadfile): file by file, in the
order of this run, but what takes longest begins first.
"""

from pathlib import Path

import pytest

LONGEST_FIRST = (
    "chaos/test_chaos.py",
    "e2e/test_outages.py",
    "care/test_backup_live.py",
    "mailbox_workers/test_two_workers.py",
    "streams/test_workers.py",
    "e2e/test_docs.py",
    "upgrade/test_upgrade.py",
    "stack/test_meter.py",
)


def _rank(item: pytest.Item) -> int:
    path = Path(item.path)
    name = f"{path.parent.name}/{path.name}"
    return LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.hookimpl(trylast=True)  # after the order of this run was drawn
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=_rank)

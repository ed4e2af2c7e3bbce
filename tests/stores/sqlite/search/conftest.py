from pathlib import Path

import pytest

from stores.sqlite.search.bucket_file import SqliteSearchConfig
from stores.sqlite.search.index import SqliteSearchIndex


@pytest.fixture
async def fts(tmp_path: Path):
    index = SqliteSearchIndex(
        tmp_path / "search", SqliteSearchConfig(gather_s=0.0)
    )  # one change after another
    yield index
    await index.close()

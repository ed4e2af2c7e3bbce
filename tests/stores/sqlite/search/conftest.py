from pathlib import Path

import pytest

from stores.sqlite.search.bucket_file import FtsConfig
from stores.sqlite.search.index import FtsIndex


@pytest.fixture
async def fts(tmp_path: Path):
    index = FtsIndex(tmp_path / "search", FtsConfig(gather_s=0.0))  # one change after another
    yield index
    await index.close()

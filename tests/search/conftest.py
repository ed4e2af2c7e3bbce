from pathlib import Path

import pytest

from stores.fts import FtsIndex
from stores.fts_file import FtsConfig


@pytest.fixture
async def fts(tmp_path: Path):
    index = FtsIndex(tmp_path / "search", FtsConfig(gather_s=0.0))  # one change after another
    yield index
    await index.close()

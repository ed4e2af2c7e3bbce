from pathlib import Path

import pytest

from stores.fts import FtsIndex


@pytest.fixture
async def fts(tmp_path: Path):
    index = FtsIndex(tmp_path / "search")
    yield index
    await index.close()

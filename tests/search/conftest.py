from pathlib import Path

import pytest

from stores.fts import FtsConfig, FtsIndex


@pytest.fixture
async def fts(tmp_path: Path):
    index = FtsIndex(tmp_path / "search", FtsConfig(gather_s=0.0))  # one change after another
    yield index
    await index.close()

"""A server that answers before an object is on disk: the adapter syncs it."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mail.errors import StoreUnavailable
from mail.ids import new_id
from stores.s3.objects import ObjectsConfig, S3Objects, spread_key
from tests.support.versitygw import VersityGw

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectsConfig]:
    with VersityGw(tmp_path_factory.mktemp("s3")) as server:
        yield server.objects


@pytest.mark.parametrize("size_bytes", [100, 20 * 1024 * 1024])
async def test_an_object_and_its_folders_are_on_disk_when_put_returns(
    server: ObjectsConfig, monkeypatch: pytest.MonkeyPatch, size_bytes: int
) -> None:
    synced: list[tuple[Path, int]] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        fsync(handle)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        synced.append((path, path.stat().st_size if path.is_file() else 0))

    monkeypatch.setattr(os, "fsync", noted)
    key, folder = spread_key(new_id()), server.folder
    await S3Objects.open(server).put(key, os.urandom(size_bytes))
    file = folder / key
    assert synced[0] == (file, size_bytes)
    assert [path for path, _ in synced[1:]] == [file.parent, file.parent.parent, folder]


async def test_an_object_that_cannot_be_synced_was_not_stored(
    server: ObjectsConfig, tmp_path: Path
) -> None:
    elsewhere = S3Objects.open(replace(server, folder=tmp_path))
    with pytest.raises(StoreUnavailable, match="not on disk"):
        await elsewhere.put(spread_key(new_id()), b"x")

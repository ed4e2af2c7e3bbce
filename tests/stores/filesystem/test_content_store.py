"""FilesystemContentStore beyond the contract: files of dead writers, a disk that is missing."""

import os
import shutil

import pytest

from mail.errors import ContentMissing, StoreUnavailable
from mail.ids import new_id
from stores.filesystem.content_store import FilesystemContentConfig, FilesystemContentStore


@pytest.fixture
async def contents(tmp_path):
    store = await FilesystemContentStore.open(tmp_path / "content")
    yield store
    await store.close()


async def test_content_survives_closing_in_a_private_file_by_the_ids_end(tmp_path):
    store = await FilesystemContentStore.open(tmp_path / "deep" / "content")
    stored = await store.put("0190-abcd", b"x")
    await store.close()
    path = tmp_path / "deep" / "content" / "cd" / "0190-abcd"
    assert path.read_bytes() == b"x"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    again = await FilesystemContentStore.open(tmp_path / "deep" / "content")
    assert await again.get(stored.ref) == b"x"
    await again.close()


async def test_old_unfinished_files_are_removed_at_start_and_young_ones_left(tmp_path, contents):
    incoming = tmp_path / "content" / "incoming"
    old, young = incoming / "old", incoming / "young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    kept = await contents.put(new_id(), b"kept")
    other = await FilesystemContentStore.open(tmp_path / "content")
    assert [path.name for path in incoming.iterdir()] == ["young"]
    assert await other.get(kept.ref) == b"kept"
    await other.close()


async def test_nothing_unfinished_is_left_by_puts(tmp_path, contents):
    for _ in range(5):
        await contents.put(new_id(), b"x")
    assert list((tmp_path / "content" / "incoming").iterdir()) == []


async def test_a_folder_that_went_away_is_an_outage_and_no_missing_mail(tmp_path, contents):
    stored = await contents.put(new_id(), b"x")
    (tmp_path / "content").rename(tmp_path / "unmounted")
    with pytest.raises(StoreUnavailable):
        await contents.get(stored.ref)
    with pytest.raises(StoreUnavailable):
        await contents.put(new_id(), b"y")
    (tmp_path / "unmounted").rename(tmp_path / "content")
    assert await contents.get(stored.ref) == b"x"
    with pytest.raises(ContentMissing):
        await contents.get(new_id())


async def test_a_file_in_the_place_of_a_folder_is_an_outage(tmp_path, contents):
    (tmp_path / "content" / "cd").write_bytes(b"")
    for call in (contents.put("0190-abcd", b"x"), contents.get("0190-abcd")):
        with pytest.raises(StoreUnavailable):
            await call


async def test_a_shard_whose_folder_was_removed_is_made_again(tmp_path, contents):
    await contents.put("0190-abcd", b"x")
    shutil.rmtree(tmp_path / "content" / "cd")
    stored = await contents.put("0191-abcd", b"y")
    assert await contents.get(stored.ref) == b"y"


async def test_a_closed_store_is_an_outage(tmp_path):
    store = await FilesystemContentStore.open(
        tmp_path / "content", FilesystemContentConfig(threads=1)
    )
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.put(new_id(), b"x")

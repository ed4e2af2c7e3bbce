"""SqliteContentStore: which contents are rows or files, and contents of an older version."""

import pytest

from mail.errors import ContentMissing, StoreUnavailable
from mail.ids import new_id
from stores.filesystem.content_store import FilesystemContentStore
from stores.sqlite.content_store import SqliteContentConfig, SqliteContentStore

SMALL, LARGE = b"s" * 100, b"l" * 101
CONFIG = SqliteContentConfig(row_max_bytes=len(SMALL))


@pytest.fixture
async def contents(tmp_path):
    store = await SqliteContentStore.open(tmp_path / "rows.sqlite", tmp_path / "files", CONFIG)
    yield store
    await store.close()


def files(tmp_path):
    return [path.name for path in (tmp_path / "files").glob("??/*")]


async def test_only_large_contents_are_files(tmp_path, contents):
    await contents.put(new_id(), SMALL)
    large = await contents.put(new_id(), LARGE)
    assert files(tmp_path) == [large.ref]


@pytest.mark.parametrize("sizes", [(SMALL, LARGE), (LARGE, SMALL)])
async def test_an_id_stays_where_it_came_first(contents, sizes):
    mail_id = new_id()
    first = await contents.put(mail_id, sizes[0])
    assert await contents.put(mail_id, sizes[1]) == first
    assert await contents.get(mail_id) == sizes[0]
    await contents.sweep(loose=[mail_id], turns=1)
    with pytest.raises(ContentMissing):
        await contents.get(mail_id)


async def test_what_an_older_version_wrote_is_there(tmp_path, contents):
    older = await FilesystemContentStore.open(tmp_path / "files")
    kept = await older.put(new_id(), b"small, and a file")
    await older.close()
    assert await contents.get(kept.ref) == b"small, and a file"
    assert await contents.put(kept.ref, b"small, and a file") == kept
    row, nowhere = await contents.put(new_id(), SMALL), new_id()
    assert await contents.missing([kept.ref, nowhere, row.ref, "no/id"]) == [nowhere, "no/id"]
    await contents.sweep(loose=[kept.ref], turns=1)
    assert await contents.missing([kept.ref]) == [kept.ref]


async def test_contents_of_two_processes_are_one_store(tmp_path, contents):
    other = await SqliteContentStore.open(tmp_path / "rows.sqlite", tmp_path / "files", CONFIG)
    stored = await contents.put(new_id(), SMALL)
    assert await other.get(stored.ref) == SMALL
    assert await other.put(stored.ref, b"second") == stored
    await other.close()


async def test_a_folder_in_disorder_is_an_outage(tmp_path, contents):
    (tmp_path / "files" / "cd").symlink_to("cd")
    aside = (tmp_path / "files" / "incoming").rename(tmp_path / "aside")
    with pytest.raises(StoreUnavailable):
        await contents.get("0190-abcd")
    with pytest.raises(StoreUnavailable):
        await contents.put(new_id(), LARGE)
    aside.rename(tmp_path / "files" / "incoming")

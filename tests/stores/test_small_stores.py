"""Contract suites of the small stores for every adapter."""

import pytest

from stores.filesystem.content_store import FilesystemContentStore
from stores.memory import (
    MemoryAttempts,
    MemoryContentStore,
    MemoryDirectory,
    MemoryHolders,
    MemoryLedger,
    MemoryOutlineStore,
    MemoryQuarantine,
    MemorySubmissions,
    MemoryUploads,
)
from stores.sqlite.attempts import SqliteAttempts
from stores.sqlite.content_store import SqliteContentStore
from stores.sqlite.directory.store import SqliteDirectory
from stores.sqlite.holders import SqliteHolders
from stores.sqlite.ledger import SqliteLedger
from stores.sqlite.outline_store import SqliteOutlineStore
from stores.sqlite.quarantine import SqliteQuarantine
from stores.sqlite.submissions import SqliteSubmissions
from stores.sqlite.uploads import SqliteUploads
from tests.contracts.attempts import AttemptsContract, attempt, limit
from tests.contracts.content_store import ContentStoreContract
from tests.contracts.content_sweep import ContentSweepContract
from tests.contracts.directory import DirectoryContract
from tests.contracts.holders import HoldersContract
from tests.contracts.ledger import LedgerContract
from tests.contracts.outline_store import OutlineStoreContract, outline
from tests.contracts.quarantine import QuarantineContract
from tests.contracts.submissions import SubmissionsContract
from tests.contracts.uploads import UploadsContract


class TestMemoryDirectory(DirectoryContract):
    @pytest.fixture
    def directory(self):
        return MemoryDirectory()


class TestSqliteDirectory(DirectoryContract):
    @pytest.fixture
    async def directory(self, tmp_path):
        directory = await SqliteDirectory.open(tmp_path / "directory.sqlite")
        yield directory
        await directory.close()


class TestMemoryAttempts(AttemptsContract):
    @pytest.fixture
    def attempts(self):
        return MemoryAttempts()


class TestSqliteAttempts(AttemptsContract):
    @pytest.fixture
    async def attempts(self, tmp_path):
        attempts = await SqliteAttempts.open(tmp_path / "attempts.sqlite")
        yield attempts
        await attempts.close()

    async def test_all_processes_see_them_and_a_restart_does_not_forget_them(
        self, attempts, tmp_path
    ):
        await attempts.begin(attempt(1), [limit("peer", 1)])
        other = await SqliteAttempts.open(tmp_path / "attempts.sqlite")
        assert await other.begin(attempt(2), [limit("peer", 1)]) > 0
        await other.close()


class TestMemoryQuarantine(QuarantineContract):
    @pytest.fixture
    def quarantine(self):
        return MemoryQuarantine()


class TestSqliteQuarantine(QuarantineContract):
    @pytest.fixture
    async def quarantine(self, tmp_path):
        quarantine = await SqliteQuarantine.open(tmp_path / "quarantine.sqlite")
        yield quarantine
        await quarantine.close()


class TestMemoryHolders(HoldersContract):
    @pytest.fixture
    def holders(self):
        return MemoryHolders()


class TestSqliteHolders(HoldersContract):
    @pytest.fixture
    async def holders(self, tmp_path):
        holders = await SqliteHolders.open(tmp_path / "holders.sqlite")
        yield holders
        await holders.close()


class TestMemoryLedger(LedgerContract):
    @pytest.fixture
    def ledger(self):
        return MemoryLedger()


class TestSqliteLedger(LedgerContract):
    @pytest.fixture
    async def ledger(self, tmp_path):
        ledger = await SqliteLedger.open(tmp_path / "ledger.sqlite")
        yield ledger
        await ledger.close()


class TestMemorySubmissions(SubmissionsContract):
    @pytest.fixture
    def submissions(self):
        return MemorySubmissions()


class TestSqliteSubmissions(SubmissionsContract):
    @pytest.fixture
    async def submissions(self, tmp_path):
        submissions = await SqliteSubmissions.open(tmp_path / "submissions.sqlite")
        yield submissions
        await submissions.close()


class TestMemoryOutlineStore(OutlineStoreContract):
    @pytest.fixture
    def outlines(self):
        return MemoryOutlineStore()


class TestSqliteOutlineStore(OutlineStoreContract):
    @pytest.fixture
    async def outlines(self, tmp_path):
        outlines = await SqliteOutlineStore.open(tmp_path / "outlines.sqlite")
        yield outlines
        await outlines.close()

    async def test_an_outline_that_cannot_be_decoded_is_missing(self, outlines):
        await outlines.put("m1", outline("one"))
        await outlines.put("m2", outline("two"))
        await outlines.file.write(
            lambda connection: (
                connection.execute(
                    "UPDATE outline SET outline = x'93' WHERE mail_id = 'm1'"
                ).rowcount
            )
        )
        assert list(await outlines.get(["m1", "m2"])) == ["m2"]


class TestMemoryContentStore(ContentStoreContract, ContentSweepContract):
    @pytest.fixture
    def contents(self):
        return MemoryContentStore()


class TestFilesystemContentStore(ContentStoreContract):
    @pytest.fixture
    async def contents(self, tmp_path):
        contents = await FilesystemContentStore.open(tmp_path / "content")
        yield contents
        await contents.close()


class TestSqliteContentStore(ContentStoreContract, ContentSweepContract):
    @pytest.fixture
    async def contents(self, tmp_path):
        contents = await SqliteContentStore.open(tmp_path / "content.sqlite", tmp_path / "content")
        yield contents
        await contents.close()


class TestMemoryUploads(UploadsContract):
    @pytest.fixture
    def uploads(self):
        return MemoryUploads()


class TestSqliteUploads(UploadsContract):
    @pytest.fixture
    async def uploads(self, tmp_path):
        uploads = await SqliteUploads.open(tmp_path / "uploads.sqlite")
        yield uploads
        await uploads.close()

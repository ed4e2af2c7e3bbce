"""Contract suite of MailStore for every adapter."""

import pytest

from stores.memory import MemoryMailStore
from tests.contracts.mail_store import MailStoreContract
from tests.contracts.mail_store_whole import WholeMailStoreContract


class TestMemoryMailStore(MailStoreContract, WholeMailStoreContract):
    @pytest.fixture
    def store(self):
        return MemoryMailStore()


class TestSqliteMailStore(MailStoreContract, WholeMailStoreContract):
    @pytest.fixture
    def store(self, sqlite_mail):
        return sqlite_mail

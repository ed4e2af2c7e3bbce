"""Contract suite of MailStore for every adapter."""

import pytest

from stores.memory import MemoryMailStore
from tests.contracts.mail_store import MailStoreContract


class TestMemoryMailStore(MailStoreContract):
    @pytest.fixture
    def store(self):
        return MemoryMailStore()


class TestSqliteMailStore(MailStoreContract):
    @pytest.fixture
    def store(self, sqlite_mail):
        return sqlite_mail

"""Contract suite of MailStore on a real Cassandra node."""

import pytest

from tests.contracts.mail_store import MailStoreContract
from tests.contracts.mailbox_checks import MailboxChecksContract

pytestmark = pytest.mark.distributed


class TestCassandraMailStore(MailStoreContract):
    @pytest.fixture
    def store(self, cassandra_mail):
        return cassandra_mail


class TestCassandraChecks(MailboxChecksContract):
    @pytest.fixture
    def store(self, cassandra_mail):
        return cassandra_mail

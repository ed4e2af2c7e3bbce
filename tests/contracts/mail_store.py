"""Contract of MailStore: the contracts of all its parts."""

from tests.contracts.conversation_lists import ConversationListsContract
from tests.contracts.folder_views import FolderViewsContract
from tests.contracts.mail_lookup import MailLookupContract
from tests.contracts.mailbox_history import MailboxHistoryContract
from tests.contracts.mailbox_reader import MailboxReaderContract
from tests.contracts.mailbox_writer import MailboxWriterContract
from tests.contracts.owner_views import OwnerViewsContract


class MailStoreContract(
    MailboxReaderContract,
    ConversationListsContract,
    FolderViewsContract,
    OwnerViewsContract,
    MailboxHistoryContract,
    MailboxWriterContract,
    MailLookupContract,
):
    """Inherit, give a `store` fixture, and the adapter is held to it."""

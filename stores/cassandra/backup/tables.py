"""Tables of a backup, in the order in which they are copied.

Rows are read over time, not at one instant, and this order makes the copy whole:
- the states of mailboxes first, then their views, then their journals. A step writes its journal
  entry before its views and the state last. So a state says which steps the views have, and the
  journal has every step that any copied view shows. A mailbox that changed meanwhile is brought to
  the end of its journal after the restore (mail_store/catch_up.py);
- holders after journals, since they are written before them; submissions and the relay queue after
  holders, so that an open row has its holder;
- rows before the lists that name them: a list is written before its row.
Entries by time and other lists that a store deletes are not copied: `relist` of each store makes
them from its rows.
"""

from schemas.cql import (
    content,
    directory,
    due,
    ledger,
    mail_store,
    relay,
    small_stores,
    submissions,
    uploads,
)
from schemas.cql.tables import Table

VIEWS: tuple[Table, ...] = (
    mail_store.MAILBOX,  # the state
    mail_store.REBUILD,
    mail_store.SETTINGS,
    mail_store.COMMAND,
    mail_store.MESSAGE,
    mail_store.MESSAGE_ID,
    mail_store.MESSAGE_BY_MAIL,
    mail_store.DRAFT,
    mail_store.LIST_ROW,
    mail_store.CONVERSATION,
    mail_store.UID,
    mail_store.LIST_HEAD,  # names the partitions of the rows
    mail_store.THREAD,
    mail_store.THREAD_KEY,
    mail_store.CORRESPONDENT,
    mail_store.DOMAIN_USAGE,
)
HISTORY: tuple[Table, ...] = (  # mailbox by mailbox: see history.py
    mail_store.SNAPSHOT,
    mail_store.SNAPSHOT_RECORD,
    mail_store.JOURNAL,
    mail_store.CLAIM,
)
OTHERS: tuple[Table, ...] = (
    uploads.UPLOADS_OF_USER,
    small_stores.HOLDER,
    small_stores.HOLDER_OF_KIND,
    submissions.SUBMISSION,
    relay.RELAY_MAIL,
    small_stores.QUARANTINED,
    small_stores.QUARANTINE_DAY,
    small_stores.QUARANTINE_DAYS,
    small_stores.RELEASED,
    directory.DOMAIN,
    directory.ADDRESS,
    directory.DOMAIN_NAME,
    directory.USER_ADDRESS,
    directory.SETTING,
    directory.APP_PASSWORDS,
    directory.APP_PASSWORD_OWNER,
    directory.LISTED_NAME,
    directory.LEADS_TO,
    directory.SESSION,
    directory.SIGN_IN,
    directory.OPERATOR_ACT,
    directory.ACT_TIME,
    ledger.LETTER,
    ledger.LEDGER,
    small_stores.OUTLINE,
)
COPIED = (*VIEWS, *HISTORY, *OTHERS)
RELISTED: tuple[Table, ...] = (  # made from rows that are copied
    due.DUE,
    due.DUE_SLOT,
    uploads.UPLOAD_OWNER,
    submissions.SUBMISSION_OF_USER,
    submissions.SUBMISSION_PERIOD,
    submissions.SENT_VOLUME,
    submissions.SENT_HOUR,
    submissions.IDEMPOTENCY_KEY,
    relay.RELAY_TURN,
    relay.RELAY_REPORT,
    directory.SESSION_OF_USER,
    ledger.LETTER_OF_MAIL,
    ledger.MAIL_OF_MESSAGE,
    ledger.MAIL_OF,
    ledger.PERIOD_OF,
)
LEFT_OUT: tuple[Table, ...] = (
    directory.SESSION_END,  # of the last hour, for processes that run
    content.CONTENT_PLACE,  # contents are read and put by the content store
    content.CONTENT_ROW,
    content.CONTENT_LOOSE,
    content.CONTENT_SWEEP,
    content.CONTENT_SEGMENT,
    content.CONTENT_SEGMENT_IDS,
    content.CONTENT_SEGMENT_GONE,
)

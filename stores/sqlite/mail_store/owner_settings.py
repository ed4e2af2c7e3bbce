"""Table `settings` of the mail store: the settings of a mailbox's owner."""

from sqlite3 import Connection

import msgspec

from mail.mailbox.user_settings import stored_after
from schemas.events.mailbox_events import MailboxChanged
from schemas.ids import UserId
from schemas.user_settings import StoredSettings

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StoredSettings).decode


def settings(connection: Connection, user_id: UserId) -> StoredSettings:
    row = connection.execute(
        "SELECT settings FROM mailbox JOIN settings USING (mailbox_key) WHERE user_id = ?",
        (user_id,),
    ).fetchone()
    return _decode(row[0]) if row else StoredSettings()


def read(connection: Connection, key: int) -> StoredSettings:
    row = connection.execute(
        "SELECT settings FROM settings WHERE mailbox_key = ?", (key,)
    ).fetchone()
    return _decode(row[0]) if row else StoredSettings()


def put(connection: Connection, key: int, stored: StoredSettings) -> None:
    connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (key, _encode(stored)))


def apply(connection: Connection, key: int, entry: MailboxChanged) -> None:
    """Write the settings after `entry`; do nothing if the entry does not change them."""
    if entry.settings is not None:
        put(connection, key, stored_after(read(connection, key), entry))

"""All events of the topics: frozen structs, each with a versioned tag.

A new field has a default; a changed meaning is a new tag. Ids are made before the work, so that
repeated work finds the same id.
"""

from schemas.events.mail import MailReceived, MailScanned, MailValidated
from schemas.events.mailbox_commands import Command, Deliver
from schemas.events.mailbox_events import MailboxEvent
from schemas.events.sending import MailRejected, MailRelay, MailSubmitted, SendingEvent

Event = MailReceived | MailValidated | MailScanned | Command | MailboxEvent | SendingEvent
MailInTransit = (  # with received_at_ms
    MailReceived | MailValidated | MailScanned | Deliver | MailSubmitted | MailRejected | MailRelay
)

"""What travels on the topics: facts in the past tense, frozen, versioned by their tag.

A new field has a default; a changed meaning is a new tag. Ids are made before the work and travel.
"""

from schemas.events.mail import MailReceived, MailScanned, MailValidated
from schemas.events.mailbox_commands import Command
from schemas.events.mailbox_events import MailboxEvent

Event = MailReceived | MailValidated | MailScanned | Command | MailboxEvent

"""Adapters in memory, for tests and experiments; the data ends with the process.

They pass the same contract suites as the other adapters. Each adapter calls its optional `fault`
with the name of the next step. A fault that raises an error of the port simulates an unavailable
engine; a fault that raises any other error simulates a process that dies before the step.
May import: mail, schemas.
"""

from stores.memory.attempts import MemoryAttempts
from stores.memory.content_store import MemoryContentStore
from stores.memory.directory import MemoryDirectory
from stores.memory.ledger import MemoryLedger
from stores.memory.mail_store import MemoryMailStore
from stores.memory.mail_transport import MemoryMailTransport
from stores.memory.outline_store import MemoryOutlineStore
from stores.memory.relay_queue import MemoryRelayQueue
from stores.memory.small_stores import MemoryHolders, MemoryQuarantine
from stores.memory.streams import MemoryLiveEvents, MemoryMailboxStates, MemoryPublisher
from stores.memory.submissions import MemorySubmissions
from stores.memory.uploads import MemoryUploads

__all__ = [
    "MemoryAttempts",
    "MemoryContentStore",
    "MemoryDirectory",
    "MemoryHolders",
    "MemoryLedger",
    "MemoryLiveEvents",
    "MemoryMailStore",
    "MemoryMailTransport",
    "MemoryMailboxStates",
    "MemoryOutlineStore",
    "MemoryPublisher",
    "MemoryQuarantine",
    "MemoryRelayQueue",
    "MemorySubmissions",
    "MemoryUploads",
]

"""The ports in memory: for tests and for trying things out; nothing survives the process.

They pass the same contract suites as the real adapters. Each calls its optional `fault` with the
name of the step that it is about to take; a fault that raises stands for an engine that is away
(raise what the port raises) or for a process that ends right there (raise anything else).
May import: mail, schemas.
"""

from stores.memory.attempts import MemoryAttempts
from stores.memory.content_store import MemoryContentStore
from stores.memory.directory import MemoryDirectory
from stores.memory.ledger import MemoryLedger
from stores.memory.mail_store import MemoryMailStore
from stores.memory.small_stores import MemoryHolders, MemoryQuarantine
from stores.memory.streams import MemoryLiveEvents, MemoryMailboxStates, MemoryPublisher

__all__ = [
    "MemoryAttempts",
    "MemoryContentStore",
    "MemoryDirectory",
    "MemoryHolders",
    "MemoryLedger",
    "MemoryLiveEvents",
    "MemoryMailStore",
    "MemoryMailboxStates",
    "MemoryPublisher",
    "MemoryQuarantine",
]

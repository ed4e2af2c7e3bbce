"""Who may do what at the broker: plain data, made from the table of topics.

Each process of ours is a user of its own name. A process writes the topics that the table says it
writes, reads those that its stages read, and trims those. Where a mail was scanned is told by the
topic that it stands on, so `mail.scanned` is written by those alone whom the table names.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from schemas.events.mail import MailScanned
from schemas.events.mailbox_events import MailboxChanged
from streams.topology import CUSTODY, GROUP_PREFIX, ROLES, STAGES, TOPIC_OF, TOPICS, Topic

OPERATOR = "operator"  # commands of the operator's
API, INGRESS = "api", "ingress"
USERS = (*ROLES, INGRESS, API, CUSTODY, OPERATOR)
ANY = "*"


class ResourceKind(IntEnum):
    """What is accessed, by Kafka's number."""

    TOPIC = 2
    GROUP = 3


class AclOperation(IntEnum):
    """What may be done to it, by Kafka's number. READ, WRITE, DELETE imply DESCRIBE."""

    READ = 3
    WRITE = 4
    DELETE = 6  # of a topic: its records too
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """`user` may do `operation` to the topic or group `name`; ANY: to all of that kind."""

    user: str
    operation: AclOperation
    kind: ResourceKind
    name: str


def grants() -> frozenset[Grant]:
    """Everything that is allowed; what is not here is not."""
    return frozenset((*_common(), *_of_operator(), *(g for topic in TOPICS for g in _of(topic))))


def _common() -> Iterator[Grant]:
    """How far everybody is, and where topics end, is no secret among us: lag, gates, epochs."""
    for user in USERS:
        for kind in ResourceKind:
            yield Grant(user, AclOperation.DESCRIBE, kind, ANY)
    for user in (CUSTODY, OPERATOR):  # look for mails wherever they may stand
        yield Grant(user, AclOperation.READ, ResourceKind.TOPIC, ANY)
    yield Grant(API, AclOperation.READ, ResourceKind.TOPIC, TOPIC_OF[MailboxChanged].name)
    # An operator's releases that were cut short are published by custody.
    yield Grant(CUSTODY, AclOperation.WRITE, ResourceKind.TOPIC, TOPIC_OF[MailScanned].name)


def _of_operator() -> Iterator[Grant]:
    """Sends letters back to any topic, releases mails, orders rebuilds; looks at settings."""
    yield Grant(OPERATOR, AclOperation.WRITE, ResourceKind.TOPIC, ANY)
    yield Grant(OPERATOR, AclOperation.DESCRIBE_CONFIGS, ResourceKind.TOPIC, ANY)


def _of(topic: Topic) -> Iterator[Grant]:
    roles = {stage.name: stage.role for stage in STAGES}
    for writer in topic.writers:
        yield Grant(roles.get(writer, writer), AclOperation.WRITE, ResourceKind.TOPIC, topic.name)
    for reader in (*topic.watchers, *([roles[topic.reader]] if topic.reader else ())):
        yield Grant(reader, AclOperation.READ, ResourceKind.TOPIC, topic.name)
        yield Grant(reader, AclOperation.READ, ResourceKind.GROUP, GROUP_PREFIX + reader)
    if topic.reader:
        yield Grant(roles[topic.reader], AclOperation.DELETE, ResourceKind.TOPIC, topic.name)
    if topic.settings["cleanup.policy"] == "compact":  # a table: its writer recovers it
        for writer in topic.writers:
            yield Grant(
                roles.get(writer, writer), AclOperation.READ, ResourceKind.TOPIC, topic.name
            )

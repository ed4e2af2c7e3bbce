"""Access rules: which process may do what at the broker, derived from the table of topics.

Each process is a Kafka user with the name of its role. A process writes the topics that the table
says it writes, and reads and trims the topics that its stages read. The topic of a mail shows that
the mail was scanned, so only the writers that the table names may write `mail.scanned`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from schemas.events.mail import MailScanned
from schemas.events.mailbox_events import MailboxChanged
from streams.topology import CUSTODY, GROUP_PREFIX, ROLES, STAGES, TOPIC_OF, TOPICS, Topic

OPERATOR = "operator"  # the command line
SETUP = "setup"  # makes topics, users and access lists; a super user of the broker
API, INGRESS, MSA, POP3 = "api", "ingress", "msa", "pop3"
USERS = (*ROLES, INGRESS, API, MSA, POP3, CUSTODY, OPERATOR)
ANY = "*"


class ResourceKind(IntEnum):
    """Kafka's codes of resources."""

    TOPIC = 2
    GROUP = 3


class AclOperation(IntEnum):
    """Kafka's codes of operations. READ, WRITE and DELETE imply DESCRIBE."""

    READ = 3
    WRITE = 4
    DELETE = 6  # on a topic: of its records too
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """Allows `user` an `operation` on the topic or group `name`; ANY: on all of that kind."""

    user: str
    operation: AclOperation
    kind: ResourceKind
    name: str


def grants() -> frozenset[Grant]:
    """Return every permission; the broker denies all others."""
    return frozenset(
        (*_common(), *_of_operator(), *(grant for topic in TOPICS for grant in _of_topic(topic)))
    )


def _common() -> Iterator[Grant]:
    """Offsets, commits and topic ids for all users: lag meters, gates and epochs need them."""
    for user in USERS:
        for kind in ResourceKind:
            yield Grant(user, AclOperation.DESCRIBE, kind, ANY)
    for user in (CUSTODY, OPERATOR):  # search all topics for mails
        yield Grant(user, AclOperation.READ, ResourceKind.TOPIC, ANY)
    for user in (API, POP3):  # follow all events of mailboxes
        yield Grant(user, AclOperation.READ, ResourceKind.TOPIC, TOPIC_OF[MailboxChanged].name)
    # custody publishes the releases from quarantine that an operator's command left unfinished.
    yield Grant(CUSTODY, AclOperation.WRITE, ResourceKind.TOPIC, TOPIC_OF[MailScanned].name)


def _of_operator() -> Iterator[Grant]:
    """Redrive to any topic, releases from quarantine, rebuild commands; checks of settings."""
    yield Grant(OPERATOR, AclOperation.WRITE, ResourceKind.TOPIC, ANY)
    yield Grant(OPERATOR, AclOperation.DESCRIBE_CONFIGS, ResourceKind.TOPIC, ANY)


def _of_topic(topic: Topic) -> Iterator[Grant]:
    roles = {stage.name: stage.role for stage in STAGES}
    for writer in topic.writers:
        yield Grant(roles.get(writer, writer), AclOperation.WRITE, ResourceKind.TOPIC, topic.name)
    for reader in (*topic.watchers, *([roles[topic.reader]] if topic.reader else ())):
        yield Grant(reader, AclOperation.READ, ResourceKind.TOPIC, topic.name)
        yield Grant(reader, AclOperation.READ, ResourceKind.GROUP, GROUP_PREFIX + reader)
    if topic.reader:
        yield Grant(roles[topic.reader], AclOperation.DELETE, ResourceKind.TOPIC, topic.name)
    if topic.settings["cleanup.policy"] == "compact":  # a table: its writer reads it for recovery
        for writer in topic.writers:
            yield Grant(
                roles.get(writer, writer), AclOperation.READ, ResourceKind.TOPIC, topic.name
            )

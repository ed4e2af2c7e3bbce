"""The table of topics and stages: plain data, without Faust.

Used by the creation and the checks of topics, by agents, publishers and access rules, by
docs/topology.md and by the tests.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

from schemas.content import Inline
from schemas.events import mail, mailbox_commands, mailbox_events, sending

PARTITIONS = 12  # divides evenly among 1, 2, 3, 4, 6 workers
EVENT_MAX_BYTES = 2 * 1024 * 1024
GROUP_PREFIX = "postriver-"  # consumer group: this prefix and the name of the role
RECEIVED = "mail.received"
DEAD_LETTERS = "dead.letters"
SUBMISSIONS = "mail.submissions"
RELAY = "mail.relay"
CUSTODY = "custody"  # the role that keeps the ledger; has no stages

SEGMENT_BYTES = 16 * 1024 * 1024
FOREVER = {  # Kafka frees space by whole segments, and never the segment that it appends to
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
    "segment.bytes": str(SEGMENT_BYTES),
    "segment.ms": str(3600 * 1000),
}
COMPACT = {  # small segments are compacted early, which shortens the recovery of a table
    "cleanup.policy": "compact",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "segment.bytes": str(16 * 1024 * 1024),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A topic: its events, their key, its writers and its readers."""

    name: str
    carries: tuple[type, ...]
    key: Callable[[Any], str] = field(repr=False)
    keyed_by: str
    writers: tuple[str, ...]  # stages
    reader: str | None  # stage
    any_partition: bool = False  # unordered: streams/sticky_partitioner.py chooses the partition
    only_copy: bool  # a record may be the only copy of a mail
    watchers: tuple[str, ...] = ()  # roles without stages that read it too, each in its own group
    settings: dict[str, str] = field(default_factory=lambda: dict(FOREVER))

    @property
    def carries_contents(self) -> bool:
        """Whether an event may contain a mail's whole content, of up to 32 KiB."""
        hints = (get_type_hints(kind).get("content") for kind in self.carries)
        return any(Inline in get_args(hint) for hint in hints)

    @property
    def flushed(self) -> bool:
        """Whether a single node flushes each record to disk before it acknowledges the record.

        Without the flush, a power failure could lose unread records whose writer believes them
        safe. And a group that had committed an offset beyond the remaining log would skip the next
        records that are written there.
        """
        return self.only_copy or self.reader is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage: the topic that its agent reads, and the role in which it runs."""

    name: str
    role: str
    reads: str
    emits: tuple[type, ...]
    in_flight: int  # events handled at once, per partition
    ordered: bool  # events of equal key are handled one after another
    failures_to: str = DEAD_LETTERS


def _mail(event: Any) -> str:
    return str(event.mail_id)


def _user(event: Any) -> str:
    return str(event.user_id)


def _destination(event: Any) -> str:
    return str(event.destination)


TOPICS: tuple[Topic, ...] = (  # in the order in which a mail passes them
    Topic(
        name=RECEIVED,
        carries=(mail.MailReceived,),
        key=_mail,
        keyed_by="mail id; any partition",
        any_partition=True,
        writers=("ingress",),
        reader="validate",
        only_copy=True,
        watchers=(CUSTODY,),
    ),
    Topic(
        name=SUBMISSIONS,
        carries=get_args(sending.SubmissionCommand),
        key=_user,
        keyed_by="user id",
        writers=(
            "api",
            "msa",
            "submission",
            "validate_submitted",
            "reject",
            "scan",
            "route",
            "relay",
        ),
        reader="submission",
        only_copy=True,
    ),
    Topic(
        name="mail.submitted",
        carries=(sending.MailSubmitted,),
        key=_mail,
        keyed_by="mail id; any partition",
        any_partition=True,
        writers=("submission",),
        reader="validate_submitted",
        only_copy=True,
    ),
    Topic(
        name="mail.rejected",
        carries=(sending.MailRejected,),
        key=_mail,
        keyed_by="mail id; any partition",
        any_partition=True,
        writers=("validate_submitted",),
        reader="reject",
        only_copy=True,
    ),
    Topic(
        name="mail.validated",
        carries=(mail.MailValidated,),
        key=_mail,
        keyed_by="mail id; any partition",
        any_partition=True,
        writers=("validate", "validate_submitted", "reject", "submission"),
        reader="scan",
        only_copy=True,
    ),
    Topic(
        name="mail.scanned",
        carries=(mail.MailScanned,),
        key=_mail,
        keyed_by="mail id; any partition",
        any_partition=True,
        writers=("scan", "ingress"),
        reader="route",
        only_copy=True,
    ),
    Topic(
        name=RELAY,
        carries=(sending.MailRelay,),
        key=_destination,
        keyed_by="domain of the recipients",
        writers=("route",),
        reader="relay",
        only_copy=True,
    ),
    Topic(
        name="mailbox.commands",
        carries=get_args(mailbox_commands.Command),
        key=_user,
        keyed_by="user id",
        writers=("route", "api", "pop3", "mailbox", "submission"),
        reader="mailbox",
        only_copy=True,
    ),
    Topic(
        name="mailbox.events",
        carries=(mailbox_events.MailboxChanged, mailbox_events.CommandAnswered),
        key=_user,
        keyed_by="user id",
        writers=("mailbox",),
        reader="index",
        only_copy=False,
    ),
    Topic(
        name=DEAD_LETTERS,
        carries=(),
        key=_mail,
        keyed_by="the origin's key",
        writers=(
            "validate",
            "submission",
            "validate_submitted",
            "reject",
            "scan",
            "route",
            "relay",
            "mailbox",
            "index",
        ),
        reader=None,
        only_copy=True,
        watchers=(CUSTODY,),
    ),
    Topic(
        name="mailbox-unread-changelog",
        carries=(),
        key=_user,
        keyed_by="user id",
        writers=("mailbox",),
        reader=None,
        only_copy=False,
        settings=dict(COMPACT),
    ),
)

STAGES: tuple[Stage, ...] = (
    Stage(
        name="validate",
        role="intake",
        reads="mail.received",
        emits=(mail.MailValidated,),
        in_flight=16,
        ordered=False,
    ),
    Stage(
        name="submission",
        role="intake",
        reads=SUBMISSIONS,
        emits=(
            sending.MailSubmitted,
            mail.MailValidated,
            mailbox_commands.NoteSubmission,
            mailbox_commands.Deliver,
            mailbox_commands.ExpungeMessages,
        ),
        in_flight=16,
        ordered=True,
    ),
    Stage(
        name="validate_submitted",
        role="intake",
        reads="mail.submitted",
        emits=(mail.MailValidated, sending.MailRejected, sending.ReportOutcomes),
        in_flight=16,
        ordered=False,
    ),
    Stage(
        name="reject",
        role="intake",
        reads="mail.rejected",
        emits=(mail.MailValidated, sending.ReportOutcomes),
        in_flight=16,
        ordered=False,
    ),
    Stage(
        name="scan",
        role="scan",
        reads="mail.validated",
        emits=(mail.MailScanned, sending.ReportOutcomes),
        in_flight=4,
        ordered=False,
    ),
    Stage(
        name="route",
        role="intake",
        reads="mail.scanned",
        emits=(
            mailbox_commands.Deliver,
            mailbox_commands.ChangeMessages,
            sending.ReportOutcomes,
            sending.ReportBounce,
            sending.MailRelay,
        ),
        in_flight=16,
        ordered=False,
    ),
    Stage(
        name="relay",
        role="relay",
        reads=RELAY,
        emits=(sending.ReportOutcomes,),
        in_flight=64,
        ordered=False,
    ),
    Stage(
        name="mailbox",
        role="mailbox",
        reads="mailbox.commands",
        emits=(
            mailbox_events.MailboxChanged,
            mailbox_events.CommandAnswered,
            *get_args(mailbox_commands.BulkFolderCommand),
            mailbox_commands.RebuildViews,
            mailbox_commands.FoldJournal,
        ),
        in_flight=64,
        ordered=True,
    ),
    Stage(
        name="index",
        role="index",
        reads="mailbox.events",
        emits=(),
        in_flight=64,
        ordered=False,
    ),
)

ROLES: tuple[str, ...] = ("intake", "scan", "relay", "mailbox", "index")
TOPIC_OF: dict[type, Topic] = {kind: topic for topic in TOPICS for kind in topic.carries}
BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}


def stage_that_reads(topic: str) -> Stage | None:
    """Return the stage that reads `topic`, or None."""
    return next((stage for stage in STAGES if stage.reads == topic), None)


def stages_of(role: str) -> tuple[Stage, ...]:
    """Return the stages that run in `role`. Raises ValueError: no stage runs there."""
    stages = tuple(stage for stage in STAGES if stage.role == role)
    if not stages:
        msg = f"no stage runs in role {role!r}; roles are {', '.join(ROLES)}"
        raise ValueError(msg)
    return stages

"""/v1/changes and /v1/snapshot: the change feed, and the state to start from when it is truncated.

A client keeps one string, the last `state` it has processed: the epoch of the service and a seq.
Each change carries the values after it, so processing a change twice, or one that a list already
shows, does no harm. A restore begins a new epoch, because it reuses seqs.
"""

from collections.abc import Iterator

import msgspec
from aiohttp import web

from api.context import AuthenticatedRequest
from api.problems import feed_gone
from api.rest.folders import FolderResource, folder_resource
from api.rest.parameters import bad_cursor, cursor_of, limit_of, query, since_of
from api.rest.responses import Timestamp, folder_ids, json_response, optional_timestamp
from api.route import AuthenticatedRoute
from mail.change_feed import STEPS_MAX, steps_since
from mail.errors import JournalTruncated, Refused
from mail.pagination import decode_cursor, encode_cursor
from schemas.events.mailbox_events import FolderChange, MailboxChanged
from schemas.ids import DraftId, FolderId, MessageId, SubmissionId, ThreadId
from schemas.mailbox import Message, shown
from schemas.submissions import SubmissionNote, SubmissionStatus
from schemas.user_settings import SettingsPatch


class FolderInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A folder after a change; `name` is "" for a standard folder, whose name cannot change."""

    id: FolderId
    name: str
    parent_id: FolderId
    subscribed: bool | None = None  # missing: not changed
    sort_order: int | None = None


class SubmissionInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of a submission after a change; /v1/submissions/{id} has its recipients."""

    id: SubmissionId
    message_id: MessageId
    status: SubmissionStatus
    version: int  # grows with each change of the submission
    held_until: Timestamp | None = None
    draft_id: DraftId | None = None


class ChangeResource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A change of one message, `folder` or `submission`, or of the `settings` that it names.

    All changes of one step have its `seq`. A destroyed message has only its id and `left`. A
    message without folder ids is hidden: a mail program marked it as deleted.
    """

    seq: int
    change: str  # created | updated | destroyed; of folders also renamed
    message_id: MessageId | None = None
    folder_ids: list[FolderId] | None = None
    keywords: list[str] | None = None
    thread_id: ThreadId | None = None
    left: dict[FolderId, int] = {}  # folders that the message left, with its former uid
    folder: FolderInfo | None = None
    settings: SettingsPatch | None = None
    submission: SubmissionInfo | None = None


class ChangesPage(msgspec.Struct, frozen=True, kw_only=True):
    """Changes through `seq`; continue from `state` while `more` is true."""

    changes: list[ChangeResource]
    state: str
    seq: int
    latest_seq: int
    more: bool


class SnapshotRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a message that changes can carry."""

    id: str
    folder_ids: list[FolderId]
    keywords: list[str]
    thread_id: ThreadId
    created_seq: int
    changed_seq: int


class SnapshotPage(msgspec.Struct, frozen=True, kw_only=True):
    """Messages by id, with the folders on the first page; then get the changes since `state`."""

    state: str
    seq: int
    folders: list[FolderResource]
    messages: list[SnapshotRecord]
    next_cursor: str | None


async def list_changes(call: AuthenticatedRequest) -> web.StreamResponse:
    """Whole steps until `limit` changes are reached; the last step may exceed it."""
    values = query(call.request, "since", "limit")
    since, limit = since_of(values, call.context.config), limit_of(values, call.context.config)
    try:
        return json_response(await _changes_page(call, since or 0, limit))
    except JournalTruncated as error:
        raise feed_gone() from error


async def _changes_page(call: AuthenticatedRequest, seq: int, limit: int) -> ChangesPage:
    changes: list[ChangeResource] = []
    latest_seq = seq
    while len(changes) < limit:
        count = min(STEPS_MAX, limit - len(changes))  # most steps have at least one change
        steps, latest_seq = await steps_since(
            call.context.ports.store, call.user_id, seq, limit=count
        )
        for step in steps:
            changes += _change_resources(step)
            seq = step.seq
            if len(changes) >= limit:
                break
        if not steps:
            break
    state = call.context.config.state(seq)
    return ChangesPage(
        changes=changes, state=state, seq=seq, latest_seq=latest_seq, more=seq < latest_seq
    )


def _change_resources(step: MailboxChanged) -> Iterator[ChangeResource]:
    """Folders first: messages of the step may be in a folder that it created."""
    if step.settings is not None:
        yield ChangeResource(seq=step.seq, change="updated", settings=step.settings)
    if step.submission is not None:
        info = submission_info(step.submission)
        yield ChangeResource(seq=step.seq, change="updated", submission=info)
    for change in step.folder_changes:
        yield ChangeResource(seq=step.seq, change=change.change, folder=folder_info(change))
    for message in step.changes:
        if message.change == "destroyed":
            yield ChangeResource(
                seq=step.seq,
                change=message.change,
                message_id=message.message_id,
                left=message.left,
            )
        else:
            yield ChangeResource(
                seq=step.seq,
                change=message.change,
                message_id=message.message_id,
                folder_ids=folder_ids(shown(message.places, message.deleted_in)),
                keywords=list(message.keywords),
                thread_id=message.thread_id,
                left=message.left,
            )


def submission_info(note: SubmissionNote) -> SubmissionInfo:
    return SubmissionInfo(
        id=note.submission_id,
        message_id=note.message_id,
        status=note.status,
        version=note.version,
        held_until=optional_timestamp(note.held_until_ms),
        draft_id=note.draft_id or None,
    )


def folder_info(change: FolderChange) -> FolderInfo:
    settings = change.settings
    return FolderInfo(
        id=change.id,
        name=change.name,
        parent_id=change.parent_id,
        subscribed=settings.subscribed if settings else None,
        sort_order=settings.sort_order if settings else None,
    )


async def get_snapshot(call: AuthenticatedRequest) -> web.StreamResponse:
    """A page of all messages, by id. Every page has the seq at which the first page was read.

    Later pages may show later changes. The changes since that seq, applied to all pages, give the
    mailbox.
    """
    values = query(call.request, "limit", "cursor")
    store, config = call.context.ports.store, call.context.config
    limit, cursor = limit_of(values, config), cursor_of(values, config)
    scope = ("snapshot", call.user_id, str(config.epoch))
    try:
        seq, after_id = decode_cursor(cursor, *scope) if cursor else (None, "")
    except Refused as error:
        raise bad_cursor() from error
    if seq is None:
        seq = (await store.state(call.user_id)).seq
    rows = await store.by_id(call.user_id, after_id=after_id, limit=limit)
    is_full = len(rows) == limit
    folders = [] if after_id else await store.folders(call.user_id)
    threads = {} if after_id else await store.thread_counts(call.user_id)
    return json_response(
        SnapshotPage(
            state=config.state(seq),
            seq=seq,
            folders=[folder_resource(row, threads) for row in folders],
            messages=[_snapshot_record(row) for row in rows if row.shown_places],
            next_cursor=encode_cursor((seq, rows[-1].message_id), *scope) if is_full else None,
        )
    )


def _snapshot_record(row: Message) -> SnapshotRecord:
    return SnapshotRecord(
        id=row.message_id,
        folder_ids=folder_ids(row.shown_places),
        keywords=list(row.keywords),
        thread_id=row.thread_id,
        created_seq=row.created_seq,
        changed_seq=row.changed_seq,
    )


ROUTES = (
    AuthenticatedRoute(
        method="GET",
        path="/v1/changes",
        name="changes",
        summary="Get changes after `since`, in whole steps: a page may have more than `limit`.",
        handler=list_changes,
        query=("since", "limit"),
        response=ChangesPage,
        problems=(410,),
    ),
    AuthenticatedRoute(
        method="GET",
        path="/v1/snapshot",
        name="snapshot",
        summary="Get folders and keywords of all messages, to start from when changes are gone.",
        handler=get_snapshot,
        query=("limit", "cursor"),
        response=SnapshotPage,
    ),
)

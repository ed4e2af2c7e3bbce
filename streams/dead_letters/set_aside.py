"""Requests of operators to set an event aside: to park it, unchanged, instead of handling it.

A request is a file FOLDER/TOPIC@PARTITION-OFFSET that contains the topic's epoch. The command line
creates the file. The worker that reads the partition parks the event, and removes the file once the
offset is surely committed. So a request survives any number of crashes of the worker.
"""

import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path

from mail.durable_files import sync_folder, write_new_file
from mail.errors import Refused
from streams.topology import BY_NAME, Stage, stage_that_reads

log = logging.getLogger(__name__)
KEPT_S = 60.0  # after the event was parked; far longer than the interval between commits
_NAME = re.compile(r"([a-z][a-z0-9.-]*)@(\d{1,6})-(\d{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True)
class RecordPosition:
    """The position of an event in the log, as TOPIC@PARTITION-OFFSET."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}@{self.partition}-{self.offset}"


def requests_folder(home: Path) -> Path:
    """Return the folder of an installation's requests."""
    return home / "data" / "set-aside"


def parse_position(name: str) -> RecordPosition:
    """Return the position that TOPIC@PARTITION-OFFSET names. Raises Refused: malformed."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise Refused(f"{name[:100]!r} is not TOPIC@PARTITION-OFFSET, such as mail.received@3-120")
    return RecordPosition(match[1], int(match[2]), int(match[3]))


def stage_of(position: RecordPosition) -> Stage:
    """Return the stage that reads the event. Raises Refused: no stage reads this topic."""
    stage = stage_that_reads(position.topic)
    if stage is None:
        topics = ", ".join(sorted(topic.name for topic in BY_NAME.values() if topic.reader))
        raise Refused(f"no stage reads {position.topic}; stages read {topics}")
    return stage


def make_request(folder: Path, position: RecordPosition, epoch: str) -> None:
    """Write a request; it is durable when this function returns."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / f".{position}"
    temporary.unlink(missing_ok=True)
    write_new_file(temporary, epoch.encode())
    temporary.rename(folder / str(position))
    sync_folder(folder)


def remove_request(folder: Path, position: RecordPosition) -> None:
    """Remove a request whose event is parked and committed."""
    (folder / str(position)).unlink(missing_ok=True)


def requests_in(folder: Path) -> dict[RecordPosition, str]:
    """Return all requests, with their epochs."""
    requests = {}
    try:
        files = list(folder.iterdir())
    except FileNotFoundError:
        return {}
    for file in files:
        try:
            requests[parse_position(file.name)] = file.read_text(encoding="utf-8")
        except (Refused, OSError, UnicodeDecodeError):
            continue  # the temporary file of a request, or another file
    return requests


class ParkRequests:
    """The requests that one worker knows. `refresh` reads the folder; None: no requests."""

    def __init__(self, folder: Path | None, *, kept_s: float = KEPT_S) -> None:
        self._folder = folder
        self._kept_s = kept_s
        self._requests: dict[RecordPosition, str] = {}
        self._parked_s: dict[RecordPosition, float] = {}  # monotonic
        self.refresh()

    def refresh(self) -> bool:
        """Read the folder; return whether there are new requests. Removes completed requests."""
        if self._folder is None:
            return False
        now_s = time.monotonic()
        for position, parked_s in list(self._parked_s.items()):
            if now_s - parked_s >= self._kept_s:
                remove_request(self._folder, position)
                del self._parked_s[position]
        before, self._requests = self._requests, requests_in(self._folder)
        return bool(self._requests.keys() - before.keys())

    @property
    def is_empty(self) -> bool:
        return not self._requests

    def includes(self, position: RecordPosition, epoch: str) -> bool:
        """Return whether the event shall be set aside."""
        return self._requests.get(position) == epoch

    def parked(self, position: RecordPosition) -> None:
        """Record that the event is parked; `refresh` removes its request after `kept_s`."""
        if position in self._requests:
            self._parked_s[position] = time.monotonic()

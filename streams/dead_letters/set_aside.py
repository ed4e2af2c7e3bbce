"""Events that an operator wants set aside: parked unchanged instead of handled.

A request is a file FOLDER/TOPIC@PARTITION-OFFSET that holds the topic's epoch. The command line
makes it; the worker that reads the partition parks the event and removes the file once the commit
is surely behind it. So a request outlives any number of crashes of the worker.
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
KEPT_S = 60.0  # after the event was parked: far longer than the interval between commits
_NAME = re.compile(r"([a-z][a-z0-9.-]*)@(\d{1,6})-(\d{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True)
class RecordPosition:
    """Where an event stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}@{self.partition}-{self.offset}"


def requests_folder(home: Path) -> Path:
    """Where the requests of an installation lie."""
    return home / "data" / "set-aside"


def place_of(name: str) -> RecordPosition:
    """Read TOPIC@PARTITION-OFFSET. Refused: it is not one."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise Refused(f"{name[:100]!r} is not TOPIC@PARTITION-OFFSET, such as mail.received@3-120")
    return RecordPosition(found[1], int(found[2]), int(found[3]))


def reader_of(place: RecordPosition) -> Stage:
    """The stage that reads the event. Refused: no stage reads this topic."""
    stage = stage_that_reads(place.topic)
    if stage is None:
        known = ", ".join(sorted(one.name for one in BY_NAME.values() if one.reader))
        raise Refused(f"no stage reads {place.topic}; stages read {known}")
    return stage


def ask(folder: Path, place: RecordPosition, epoch: str) -> None:
    """Make a durable request."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = folder / f".{place}"
    half.unlink(missing_ok=True)
    write_new_file(half, epoch.encode())
    half.rename(folder / str(place))
    sync_folder(folder)


def withdraw(folder: Path, place: RecordPosition) -> None:
    """Remove a request that needs nothing more."""
    (folder / str(place)).unlink(missing_ok=True)


def asked(folder: Path) -> dict[RecordPosition, str]:
    """All requests, with their epochs."""
    found = {}
    try:
        files = list(folder.iterdir())
    except FileNotFoundError:
        return {}
    for file in files:
        try:
            found[place_of(file.name)] = file.read_text(encoding="utf-8")
        except (Refused, OSError, UnicodeDecodeError):
            continue  # half of one that is being made, or not ours
    return found


class ParkRequests:
    """What one worker has been asked for; `look` reads the folder again."""

    def __init__(self, folder: Path | None, *, kept_s: float = KEPT_S) -> None:
        self._folder = folder
        self._kept_s = kept_s
        self._asked: dict[RecordPosition, str] = {}
        self._parked: dict[RecordPosition, float] = {}  # monotonic
        self.look()

    def look(self) -> bool:
        """Whether there are requests that were not there before. Drops those that are done."""
        if self._folder is None:
            return False
        now_s = time.monotonic()
        for place in [one for one, at_s in self._parked.items() if now_s - at_s >= self._kept_s]:
            withdraw(self._folder, place)
            del self._parked[place]
        before, self._asked = self._asked, asked(self._folder)
        return bool(self._asked.keys() - before.keys())

    def __bool__(self) -> bool:
        return bool(self._asked)

    def wants(self, place: RecordPosition, epoch: str) -> bool:
        """Whether this event shall be set aside."""
        return self._asked.get(place) == epoch

    def parked(self, place: RecordPosition) -> None:
        """It was set aside: its request ends when the commit is surely behind it."""
        if place in self._asked:
            self._parked[place] = time.monotonic()

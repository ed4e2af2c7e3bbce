"""Log of the supervisor, HOME/log/supervisor.log, rotated like the other logs."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from stack.logs import LogFile
from stack.state_folder import StateFolder

log = logging.getLogger("postriver.stack")


@contextmanager
def supervisor_log(home: StateFolder, formatter: logging.Formatter) -> Iterator[None]:
    """Write this process's log records to the file within the block."""
    handler = _FileHandler(home)
    handler.setFormatter(formatter)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.info("supervisor started, pid %d", os.getpid())
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


class _FileHandler(logging.Handler):
    def __init__(self, home: StateFolder) -> None:
        super().__init__()
        self._file = LogFile(home.log / "supervisor.log")

    def emit(self, record: logging.LogRecord) -> None:
        self._file.line(self.format(record))

    def close(self) -> None:
        self._file.close()
        super().close()

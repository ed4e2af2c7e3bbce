"""Class data archive (AppCDS) of the broker, made once per set of jars: it halves later starts.

`python -m stack.engines.class_data_archive LIB`: runs a throwaway node in a temporary folder and
lets Java write the archive when the node ends. Without the archive the broker starts more slowly.
"""

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stack.engines.kafka import KafkaConfig, archive_path, kafka
from stack.ports import free_port
from stack.state_folder import claimed
from stack.supervision.program import Program

START_TIMEOUT_S = 60.0
DUMP_TIMEOUT_S = 120.0
LET_SETTLE_S = 1.0  # for classes that are loaded just after the port opens


def make_archive(lib: Path) -> Path:
    """Return the archive's path. Raises KafkaMissing, JavaMissing, TimeoutError: no start."""
    target = archive_path(lib)
    fresh = target.with_suffix(".new")
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="postriver-") as folder, claimed(Path(folder)) as home:
        config = KafkaConfig(lib=lib, port=free_port(), controller_port=free_port())
        _run_once(kafka(home, config), config.port, fresh)
    fresh.chmod(0o644)
    fresh.replace(target)
    return target


def _run_once(program: Program, port: int, archive: Path) -> None:
    java, *arguments = program.argv
    process = subprocess.Popen(
        [java, f"-XX:ArchiveClassesAtExit={archive}", *arguments],
        env=dict(program.env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_port(port, time.monotonic() + START_TIMEOUT_S)
        time.sleep(LET_SETTLE_S)
        process.terminate()
        process.wait(DUMP_TIMEOUT_S)
    finally:
        process.kill()
        process.wait()


def _await_port(port: int, deadline: float) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError("the broker did not come up") from None
            time.sleep(0.2)
        else:
            return


if __name__ == "__main__":
    make_archive(Path(sys.argv[1]))

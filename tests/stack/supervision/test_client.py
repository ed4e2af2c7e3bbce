import signal
import time

import psutil
import pytest

from stack.state_folder import lock_holder
from stack.supervision.client import NotRunning, StartFailed, read_status, spawn_detached, stop
from stack.supervision.program import REFUSED
from tests.stack.small_machine import ENV, NOTE, SLEEP, Machine, alive, wait_until

STEADY = {"name": "steady", "code": NOTE + SLEEP}


def detached(machine: Machine, *programs: dict, timeout_s: float = 30.0) -> int:
    return spawn_detached(machine.argv(*programs), machine.home, timeout_s=timeout_s, env=ENV)


def test_up_returns_when_ready_and_down_leaves_nothing(machine: Machine) -> None:
    pid = detached(machine, STEADY)
    assert lock_holder(machine.home) == pid
    assert read_status(machine.home)["state"] == "ready"
    child = machine.pid_of("steady")
    assert stop(machine.home)
    assert not alive(child)
    assert not alive(pid)
    assert not stop(machine.home)
    with pytest.raises(NotRunning):
        read_status(machine.home)


def test_up_on_a_held_folder_says_who_holds_it(machine: Machine) -> None:
    pid = detached(machine, STEADY)
    with pytest.raises(StartFailed, match=f"already running, pid {pid}"):
        detached(machine, STEADY)
    assert read_status(machine.home)["state"] == "ready"


def test_up_that_does_not_get_ready_says_why_and_leaves_nothing(machine: Machine) -> None:
    waits = {
        "name": "waits",
        "code": NOTE + "note(str(os.getpid()))\n" + SLEEP,
        "ready_file": "never",
    }
    with pytest.raises(StartFailed, match="waits: no never"):
        detached(machine, waits, timeout_s=10.0)
    assert lock_holder(machine.home) is None
    assert not alive(int(machine.lines()[0]))


def test_a_task_that_refuses_ends_the_start_at_once_with_its_last_line(machine: Machine) -> None:
    waits = {"name": "waits", "code": NOTE + SLEEP, "after": ["setup"]}
    setup = {
        "name": "setup", "kind": "task",
        "code": f"print('looks'); print('the engine is newer'); exit({REFUSED})",
    }  # fmt: skip
    began_s = time.monotonic()
    with pytest.raises(StartFailed, match=r"^the engine is newer$") as refused:
        detached(machine, STEADY, waits, setup, timeout_s=600.0)
    assert time.monotonic() - began_s < 300
    assert refused.value.is_refused
    assert lock_holder(machine.home) is None


def test_a_task_that_fails_is_tried_again(machine: Machine) -> None:
    fails_once = "import os; os.path.exists('seen') or (open('seen', 'w'), os._exit(1))"
    detached(machine, STEADY, {"name": "setup", "kind": "task", "code": fails_once})
    assert read_status(machine.home)["state"] == "ready"


def test_down_ends_what_a_killed_supervisor_left(machine: Machine) -> None:
    code = NOTE + "note(str(os.fork()))\n" + SLEEP
    pid = detached(machine, {"name": "parent", "code": code})
    wait_until(lambda: sum(word.isdigit() for word in machine.lines()) == 2)  # in any order
    worker = next(int(word) for word in machine.lines() if word.isdigit() and word != "0")
    psutil.Process(pid).send_signal(signal.SIGKILL)
    wait_until(lambda: lock_holder(machine.home) is None)
    assert stop(machine.home)
    assert not alive(worker)

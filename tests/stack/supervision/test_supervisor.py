"""Small real programs under a real supervisor."""

import http.client
import json
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stack.supervision.program import Program, ProgramKind, check_programs
from stack.supervision.supervised_process import backoff_s
from stack.supervision.supervisor import stop_waves
from tests.stack.small_machine import NOTE, SLEEP, Machine, alive, wait_until

ENDS_WITH_A_NOTE = (
    """
def end(*_):
  note("end-" + sys.argv[1]); sys.exit()
signal.signal(signal.SIGTERM, end)
note("begin-" + sys.argv[1])
"""
    + SLEEP
)

# Answers on its socket; /healthz turns to 500 when the file `sick` appears.
SERVES = (
    NOTE
    + """
import http.server, socketserver
note("begin-serves")
class Page(http.server.BaseHTTPRequestHandler):
  def do_GET(self):
    sick = self.path == "/healthz" and os.path.exists("sick")
    body = {
      "/metrics": b'# TYPE mails_total counter\\nmails_total{stage="scan"} 3\\n',
      "/status": b'{"lag": 7, "held": [{"engine": "clamd"}], "warnings": ["odd"]}',
      "/history": b'{"samples": [[5, 7]]}',
    }.get(self.path, b"fine")
    self.send_response(500 if sick else 200)
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    self.wfile.write(body)
  def log_message(self, *_): pass
  def address_string(self): return ""
if os.path.exists("serves.sock"): os.unlink("serves.sock")
socketserver.ThreadingUnixStreamServer("serves.sock", Page).serve_forever()
"""
)


def named(name: str, **more: object) -> dict:
    code = NOTE + f"sys.argv = ['', {name!r}]\n" + ENDS_WITH_A_NOTE
    return {"name": name, "code": code, **more}


def get(machine: Machine, page: str, **headers: str) -> tuple[int, str]:
    host, port = json.loads((machine.home / "run" / "supervisor.json").read_text())["ops"]
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", page, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_starts_in_order_and_stops_in_the_opposite_one(machine: Machine) -> None:
    machine.start(
        named("edge", after=["setup"]),
        {"name": "setup", "kind": "task", "code": NOTE + "note('setup')", "after": ["broker"]},
        named("broker", kind="engine", ready_file="open"),
        named("free"),
    )
    wait_until(lambda: {"begin-broker", "begin-free"} <= set(machine.lines()))
    assert machine.state_of("edge") == "waiting"
    status, body = get(machine, "/readyz")
    assert status == 503
    assert json.loads(body)["reasons"]["broker"] == "no open"
    assert "setup" not in machine.lines()
    (machine.home / "run" / "open").touch()
    machine.wait_ready()
    wait_until(lambda: "begin-edge" in machine.lines())
    assert machine.lines()[2:] == ["setup", "begin-edge"]
    assert (machine.home / "run" / "greeted").exists()
    machine.process.terminate()
    assert machine.process.wait(30) == 0
    ends = machine.lines()[4:]
    assert sorted(ends) == ["end-broker", "end-edge", "end-free"]
    assert ends[-1] == "end-broker"


def test_readiness_carries_warnings_and_status_names_everybody_but_the_supervisor(
    machine: Machine,
) -> None:
    engine = {"name": "clam", "kind": "engine", "code": NOTE + SLEEP, "detail": "two signatures"}
    machine.start(
        engine, {"name": "serves", "code": SERVES, "http": True}, warnings=["TEST SET ONLY"]
    )
    machine.wait_ready()
    status, body = get(machine, "/readyz")
    assert (status, json.loads(body)["warnings"]) == (200, ["TEST SET ONLY", "serves: odd"])
    shown = machine.status()
    assert [process["name"] for process in shown["processes"]] == ["serves"]
    assert [engine["detail"] for engine in shown["engines"]] == ["two signatures"]
    assert shown["warnings"] == ["TEST SET ONLY", "serves: odd"]
    (role,) = shown["roles"]
    assert role == {
        "name": "serves",
        "lag": 7,
        "held": [{"engine": "clamd"}],
        "detail": {},
        "warnings": ["odd"],
    }
    assert shown["signatures"] == "test"
    history = json.loads(get(machine, "/history")[1])
    assert history == {"roles": [{"name": "serves", "samples": [[5, 7]]}]}


def test_one_page_has_the_metrics_of_all(machine: Machine) -> None:
    machine.start(named("plain"), {"name": "serves", "code": SERVES, "http": True})
    machine.wait_ready()
    families = {f.name: f for f in text_string_to_metric_families(get(machine, "/metrics")[1])}
    mails = families["mails"].samples[0]
    assert (mails.labels, mails.value) == ({"stage": "scan", "process": "serves"}, 3)
    up = {sample.labels["process"]: sample.value for sample in families["postriver_up"].samples}
    assert up == {"plain": 1, "serves": 1}
    for name in ("postriver_process_resident_memory_bytes", "postriver_process_open_fds"):
        assert all(sample.value > 0 for sample in families[name].samples)


def test_a_killed_child_comes_back_and_its_workers_do_not_linger(machine: Machine) -> None:
    parent = NOTE + "note(str(os.fork()))\n" + SLEEP
    machine.start({"name": "parent", "code": parent}, named("other"))
    machine.wait_ready()
    wait_until(lambda: "0" in machine.lines())
    first, other = machine.pid_of("parent"), machine.pid_of("other")
    worker = next(int(word) for word in machine.lines() if word.isdigit() and word != "0")
    psutil.Process(first).kill()
    wait_until(lambda: machine.pid_of("parent") not in {None, first})
    machine.wait_ready()
    assert not alive(worker)
    assert machine.pid_of("other") == other


def test_a_full_disk_keeps_nobody_from_being_started_again(machine: Machine) -> None:
    machine.start(named("one"))
    machine.wait_ready()
    (machine.home / "run" / "processes.new").mkdir()  # what runs cannot be written down
    first = machine.pid_of("one")
    psutil.Process(first).kill()
    wait_until(lambda: machine.pid_of("one") not in {None, first})
    machine.wait_ready()


def test_a_program_waits_while_it_must_not_be_started(machine: Machine) -> None:
    machine.start(named("one", waits_for="room"), named("two"))
    wait_until(lambda: machine.state_of("two") == "ready")
    assert (machine.state_of("one"), machine.pid_of("one")) == ("waiting", None)
    assert json.loads(get(machine, "/readyz")[1])["reasons"]["one"] == "no room"
    (machine.home / "run" / "room").touch()
    machine.wait_ready()


def test_a_child_that_cannot_live_is_tried_with_growing_pauses(machine: Machine) -> None:
    machine.start(
        {
            "name": "sad",
            "code": NOTE + "note('try'); print('no disk'); sys.exit(9)",
            "ready_file": "never",
        }
    )
    wait_until(lambda: len(machine.lines()) >= 3)
    wait_until(lambda: "exit code 9" in machine.status()["reasons"]["sad"])
    assert machine.status()["state"] == "starting"
    assert machine.log("sad").count("no disk") >= 3
    pauses = [
        line.split(" in ")[1] for line in machine.log("supervisor").splitlines() if "sad" in line
    ]
    assert pauses[:3] == ["0.5 s", "1.0 s", "2.0 s"]


def test_pauses_double_up_to_a_bound() -> None:
    assert [backoff_s(n) for n in (1, 2, 3, 6, 7, 1000)] == [0.5, 1, 2, 16, 30, 30]


def test_a_program_that_is_not_there_is_reported_not_fatal(machine: Machine) -> None:
    machine.start({"name": "gone", "code": "", "cwd": "/nowhere"}, named("other"))
    wait_until(lambda: machine.state_of("other") == "ready")
    wait_until(lambda: "/nowhere" in machine.log("gone"))


def test_a_role_that_fails_its_health_checks_is_replaced(machine: Machine) -> None:
    machine.start({"name": "serves", "code": SERVES, "http": True, "health_every_s": 0.2})
    machine.wait_ready()
    first = machine.pid_of("serves")
    (machine.home / "run" / "sick").touch()
    wait_until(lambda: machine.lines().count("begin-serves") == 2)
    (machine.home / "run" / "sick").unlink()
    wait_until(lambda: machine.pid_of("serves") not in {None, first})
    machine.wait_ready()
    assert "failed 3 health checks" in machine.log("supervisor")


def test_a_healthy_role_that_waits_for_its_operator_is_not_replaced(machine: Machine) -> None:
    waits = SERVES.replace("sick else 200", 'sick or self.path == "/readyz" else 200')
    assert waits != SERVES
    machine.start({"name": "serves", "code": waits, "http": True, "start_timeout_s": 0.5})
    wait_until(lambda: machine.state_of("serves") == "starting")
    first = machine.pid_of("serves")
    time.sleep(2.0)
    assert machine.pid_of("serves") == first
    (machine.home / "run" / "sick").touch()
    wait_until(lambda: "not ready in time" in machine.log("supervisor"))


def test_children_die_with_a_killed_supervisor_and_the_next_start_ends_the_rest(
    machine: Machine,
) -> None:
    parent = NOTE + "note(str(os.fork()))\n" + SLEEP
    machine.start({"name": "parent", "code": parent})
    machine.wait_ready()
    wait_until(lambda: "0" in machine.lines())
    child = machine.pid_of("parent")
    worker = next(int(word) for word in machine.lines() if word.isdigit() and word != "0")
    machine.kill()
    wait_until(lambda: not alive(child))
    assert alive(worker)  # its parent is gone; the record still names the session
    machine.start(named("other"))
    machine.wait_ready()
    assert not alive(worker)
    assert "ended parent, left over" in machine.log("supervisor")


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_at_once_what_does_not_want_to(machine: Machine, second: int) -> None:
    stubborn = (
        NOTE
        + "signal.signal(signal.SIGTERM, lambda *_: note('no'))\nnote('up')\n"
        + "time.sleep(1)\n" * 300
    )
    machine.start({"name": "stubborn", "code": stubborn, "stop_timeout_s": 300})
    wait_until(lambda: "up" in machine.lines())
    pid = machine.pid_of("stubborn")
    machine.process.send_signal(signal.SIGINT)
    wait_until(lambda: "no" in machine.lines())
    assert machine.status()["state"] == "stopping"
    with pytest.raises(subprocess.TimeoutExpired):
        machine.process.wait(0.3)
    machine.process.send_signal(second)
    assert machine.process.wait(30) == 0
    assert not alive(pid)


def test_logs_lose_nothing_of_a_talkative_child(machine: Machine) -> None:
    code = (
        NOTE
        + "for n in range(20000): print('line', n)\nos.write(2, b'last words'); note('said')\n"
        + SLEEP
    )
    machine.start({"name": "talks", "code": code})
    wait_until(lambda: "said" in machine.lines())
    machine.process.terminate()
    machine.process.wait(30)
    expected = [f"line {n}" for n in range(20000)]
    assert machine.log("talks").splitlines() == [*expected, "last words"]


def test_engines_stop_after_everything_else() -> None:
    def made(name: str, kind: ProgramKind, *after: str) -> Program:
        return Program(name=name, kind=kind, argv=("true",), after=after)

    programs = (
        made("kafka", ProgramKind.ENGINE),
        made("setup", ProgramKind.TASK, "kafka"),
        made("scan", ProgramKind.ROLE),
        made("api", ProgramKind.ROLE, "setup"),
        made("clamd", ProgramKind.ENGINE),
    )
    assert stop_waves(programs) == [["scan", "api"], ["setup"], ["kafka", "clamd"]]


def test_an_order_that_cannot_be_is_refused() -> None:
    def made(name: str, *after: str) -> Program:
        return Program(name=name, kind=ProgramKind.ROLE, argv=("true",), after=after)

    with pytest.raises(ValueError, match="a, b"):
        check_programs((made("a", "b"), made("b", "a"), made("c")))
    with pytest.raises(ValueError, match="never able to start: a"):
        check_programs((made("a", "nobody"),))


def test_the_operators_port_answers_to_loopback_names_only(machine: Machine) -> None:
    machine.start(named("one"))
    machine.wait_ready()
    for host in ("localhost:8081", "LocalHost", "127.0.0.1:1", "[::1]:8081", "[::1]"):
        assert get(machine, "/readyz", Host=host)[0] == 200, host
    for host in ("evil.example", "evil.example:8081", "127.0.0.1.evil.example", "10.0.0.1", ""):
        status, body = get(machine, "/status", Host=host)
        assert status == 421, host
        assert "processes" not in body


def test_a_program_gains_no_privileges_and_no_more_memory_than_it_may(machine: Machine) -> None:
    code = NOTE + "note('begin')\n" + SLEEP
    limited = {"name": "limited", "code": code, "memory_max_bytes": 2**31}
    machine.start(limited, {"name": "free", "code": code})
    wait_until(lambda: len(machine.lines()) == 2)
    for name, limit in (("limited", 2**31), ("free", resource.getrlimit(resource.RLIMIT_AS)[1])):
        process = psutil.Process(machine.pid_of(name))
        assert process.rlimit(psutil.RLIMIT_AS)[1] == limit
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)


def test_a_flood_of_an_engines_lines_does_not_delay_the_supervisor(machine: Machine) -> None:
    flood = "for _ in range(40): sys.stderr.write('<' + 'a' * 60_000 + '>@\\n')\nnote('written')\n"
    machine.start({"name": "talks", "kind": "engine", "code": NOTE + flood + SLEEP})
    wait_until(lambda: "written" in machine.lines(), timeout_s=20)
    assert machine.status()["state"] == "ready"

"""The supervisor's programs: several processes of one role have names and sockets of their own."""

from pathlib import Path

from cli.config.config import load
from cli.programs import programs
from stack.state_folder import claimed
from stack.supervision.program import check_programs


def test_processes_of_one_role_differ_in_name_socket_and_number(tmp_path: Path) -> None:
    settings = {
        "POSTRIVER_HOME": str(tmp_path / "home"),
        "POSTRIVER_INGRESS_PROCESSES": "2",
        "POSTRIVER_API_PROCESSES": "3",
        "POSTRIVER_POP3_PROCESSES": "2",
        "POSTRIVER_POP3_FDS": "5",
        "POSTRIVER_POP3S_FDS": "6",
    }
    with claimed(tmp_path / "home") as home:
        made = {each.name: each for each in programs(load(settings), home)}
        check_programs(tuple(made.values()))
        names = {name for name in made if name.startswith(("ingress", "api", "pop3"))}
        assert names == {"ingress", "ingress-2", "api", "api-2", "api-3", "pop3", "pop3-2"}
        assert len({made[name].http for name in names}) == len(names)
        assert made["api"].argv[-2:] == ("role", "api")
        assert made["api-3"].argv[-4:] == ("role", "api", "--number", "3")
        assert made["pop3-2"].descriptors == (5, 6)
        assert made["ingress-2"].http == home.socket("ingress-2")

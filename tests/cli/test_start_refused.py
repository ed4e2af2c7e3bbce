"""What `setup` refuses ends the start; the errors of other roles let the supervisor restart."""

import pytest

from cli.commands.role import ROLES, refusals
from cli.start_refused import StartRefused
from mail.errors import Fatal, PostriverError, Refused, StoreUnavailable
from stack.supervision.program import REFUSED
from streams.topics.access_rules import SETUP


@pytest.mark.parametrize("error", [Fatal("newer"), Refused("newer")], ids=["fatal", "refused"])
def test_setup_refuses_with_its_own_exit_code(error: PostriverError, capsys) -> None:
    with pytest.raises(StartRefused) as refused, refusals(SETUP):
        raise error
    refused.value.show()
    assert capsys.readouterr().err == "postriver: newer\n"
    assert refused.value.exit_code == REFUSED


def test_a_line_of_another_process_is_shown_as_it_was(capsys) -> None:
    StartRefused("postriver: newer").show()
    assert capsys.readouterr().err == "postriver: newer\n"


def test_an_engine_that_is_away_is_no_refusal() -> None:
    with pytest.raises(StoreUnavailable), refusals(SETUP):
        raise StoreUnavailable("cassandra", "no answer")


@pytest.mark.parametrize("name", sorted(ROLES.keys() - {SETUP}))
def test_other_roles_are_started_again(name: str) -> None:
    with pytest.raises(Fatal), refusals(name):
        raise Fatal("the store is another one")

"""Errors of the driver at a sign-in: a refused password, or a node without an answer."""

import pytest
from cassandra import AuthenticationFailed, OperationTimedOut
from cassandra.cluster import NoHostAvailable

from stores.cassandra.session import _is_denied

NODE = "127.0.0.1:9042"


@pytest.mark.parametrize(
    ("error", "is_denied"),
    [
        (NoHostAvailable("", {NODE: AuthenticationFailed("no")}), True),
        (NoHostAvailable("", {NODE: OSError("away")}), False),
        (NoHostAvailable("", {"a": OSError("away"), "b": AuthenticationFailed("no")}), True),
        (NoHostAvailable("one connection and no further one", [NODE]), False),
        (OperationTimedOut(), False),
    ],
    ids=["refused", "away", "one-of-two", "overloaded", "slow"],
)
def test_only_a_refused_password_is_a_refusal(error: Exception, is_denied) -> None:
    assert _is_denied(error) == is_denied

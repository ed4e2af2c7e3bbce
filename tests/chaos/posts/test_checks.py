"""The checks of a run of posts find what they are for (long run: `make chaos POSTS=2000`)."""

import socket
from collections import Counter
from typing import Any, cast

import pytest

from .findings import Findings, differences
from .load import posts
from .peer import arrivals

DELIVERY = ("p7", "carol.7@far.example")


class Mailbox:
    """Of a user, with the subjects of its messages by folder."""

    def __init__(self, **subjects: list[str]) -> None:
        self.subjects = subjects

    def messages(self, folder: str) -> list[dict[str, str]]:
        return [{"subject": subject} for subject in self.subjects.get(folder, ())]


def findings(**fields: Any) -> Findings:
    nothing = dict.fromkeys(("world", "load", "arrivals"), cast("Any", None))
    return Findings(**{**nothing, "posts": posts(1, 20), "relay_ended_s": (), **fields})


@pytest.mark.parametrize(
    ("times", "killed_s", "found"),
    [
        ([100.0], [], 0),
        ([100.0, 1001.0], [100.3], 0),  # in doubt, and sent again after 15 minutes
        ([100.0, 1001.0], [], 1),
        ([100.0, 1001.0], [99.0, 500.0], 1),
        ([100.0, 130.0], [100.3], 1),
        ([100.0, 130.0], [], 2),
        ([100.0, 1001.0, 1902.0], [100.3], 1),
    ],
)
def test_a_repeat_is_explained_by_a_kill_alone(
    times: list[float], killed_s: list[float], found: int
) -> None:
    with arrivals(1) as far:
        far.at_s[DELIVERY] += times
    assert len([*findings(arrivals=far, relay_ended_s=killed_s).repeats()]) == found


def test_two_answers_and_a_missing_answer_are_found() -> None:
    checked = findings()
    for post in checked.posts:
        post.answers["message", "submission"] += 3
    assert [*checked.answers()] == []
    checked.posts[3].answers["message", "another"] += 1
    checked.posts[4].answers.clear()
    assert len([*checked.answers()]) == 2


def test_a_mail_too_many_or_too_few_is_found() -> None:
    owner = cast("Any", Mailbox(inbox=["p1"], junk=["p2"]))
    assert [*differences("mail", owner, "inbox", ["p1", "p2"], "junk")] == []
    for tokens in (["p1"], ["p1", "p2", "p3"], ["p1", "p2", "p2"]):
        assert len([*differences("mail", owner, "inbox", tokens, "junk")]) == 1


def test_the_peer_counts_each_final_dot_and_each_recipient() -> None:
    lines = (
        "EHLO a.example", "MAIL FROM:<a@a.example>", "RCPT TO:<carol.7@far.example>",
        "RCPT TO:<nobody@far.example>", "DATA", "Subject: p7\r\n\r\nhi\r\n.",
    )  # fmt: skip
    with arrivals(1) as far:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", far.domain.peer.port), 30) as client:
                replies = client.makefile("rb")
                for line in lines:
                    client.sendall(f"{line}\r\n".encode())
                while b"taken" not in replies.readline():
                    pass
    assert {delivery: len(times) for delivery, times in far.repeated().items()} == {
        DELIVERY: 2, ("p7", "nobody@far.example"): 2,
    }  # fmt: skip
    expected = {(post.token, address) for post in posts(1, 20) for address in post.far}
    missing = [each for each in findings(arrivals=far).far() if "did not arrive" in each]
    unknown = [each for each in findings(arrivals=far).far() if "was not sent" in each]
    assert (len(missing), len(unknown)) == (len(expected - {DELIVERY}), 2 - (DELIVERY in expected))


def test_posts_are_the_same_for_a_seed_and_of_every_kind() -> None:
    made = posts(3, 200)
    assert made == posts(3, 200) != posts(4, 200)
    kinds = Counter((post.reader is not None, len(post.far)) for post in made)
    assert set(kinds) == {(True, 0), (True, 1), (True, 2), (False, 1), (False, 2)}
    assert {post.requests for post in made} == {1, 2, 3}

"""How quotas are told to an operator."""

import pytest

from cli.commands.quotas import size_text, told
from schemas.directory import Quota
from schemas.mailbox import Usage


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB"), (1536, "1.5 KiB"),
        (5 << 30, "5 GiB"), (1 << 41, "2048 GiB"),
    ],
)  # fmt: skip
def test_a_size_is_told_in_its_largest_unit(size: int, text: str) -> None:
    assert size_text(size) == text


def test_what_is_used_is_told_beside_what_may_be() -> None:
    assert told(Usage(2048, 3), Quota(size_bytes=5 << 30)) == (
        "2 KiB (of 5 GiB), 3 mails (no limit)"
    )
    assert told(Usage(), Quota(messages=7)) == "0 bytes (no limit), 0 mails (of 7)"

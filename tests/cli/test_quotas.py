"""Texts of `postriver user quota` and `postriver domain quota`."""

import pytest

from cli.commands.quotas import size_text, usage_text
from schemas.directory import Quota
from schemas.mailbox import Usage


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB"), (1536, "1.5 KiB"),
        (5 << 30, "5 GiB"), (1 << 41, "2048 GiB"),
    ],
)  # fmt: skip
def test_a_size_is_shown_in_its_largest_unit(size: int, text: str) -> None:
    assert size_text(size) == text


def test_usage_is_shown_with_its_limits() -> None:
    assert usage_text(Usage(2048, 3), Quota(size_bytes=5 << 30)) == (
        "2 KiB (of 5 GiB), 3 mails (no limit)"
    )
    assert usage_text(Usage(), Quota(messages=7)) == "0 bytes (no limit), 0 mails (of 7)"

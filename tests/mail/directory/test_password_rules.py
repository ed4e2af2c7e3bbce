"""Password rules: accepted passwords, and common passwords that are refused."""

import pytest

from mail.directory.password_rules import PASSWORD_MAX_CHARS, fault_in
from mail.directory.passwords import random_password

ADDRESS = "alice.liddell@wonder.example"


@pytest.mark.parametrize(
    "password",
    [
        "", "short", "123456789", "1234567890", "0987654321", "aaaaaaaaaaaa", "abababababab",
        "password123", "P@ssw0rd2024!", "Passw0rd!!!!", "qwertyuiop", "qwertz123456", "1q2w3e4r5t",
        "1qaz2wsx3edc", "iloveyou2025", "letmein12345", "Welcome2026!", "Summer2026!!",
        "admin12345", "alice.liddell", "alice12345", "Liddell2026!", "wonder-2026", "postriver1234",
        "abcdefghij", "dragon-dragon", "superman123!", "changeme!!", "x" * 257,
    ],
)  # fmt: skip
def test_what_is_tried_first_is_refused(password: str) -> None:
    assert fault_in(password, address=ADDRESS)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse", "battery staple", "tr0ub4dor&3-x", "k8!vQz2#mW", "오늘은날씨가참좋네요",
        "secret of alice@wonder.example", "dragon monkey shadow summer",
        "password of my garden gate", "Zwölf Boxkämpfer jagen Viktor",
        "40 71839 26650 91", "ab" * (PASSWORD_MAX_CHARS // 2 - 4) + "correct!",
    ],
)  # fmt: skip
def test_what_is_not_is_taken(password: str) -> None:
    assert fault_in(password, address=ADDRESS) == ""


def test_what_we_make_is_taken() -> None:
    assert {fault_in(random_password(), address=ADDRESS) for _ in range(200)} == {""}

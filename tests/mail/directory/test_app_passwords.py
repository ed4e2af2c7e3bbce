"""Application passwords: form, forms as typed, hash, names."""

import re

import pytest

from mail.directory.app_passwords import (
    canonical_secret,
    checked_name,
    new_app_password,
    secret_sha256,
)
from mail.errors import Refused


def test_a_new_one_is_random_readable_and_stored_as_a_hash() -> None:
    made = [new_app_password("u1", "Phone", ["send", "read", "send"]) for _ in range(50)]
    assert len({secret for _, secret in made}) == 50
    for row, secret in made:
        assert re.fullmatch(r"([a-km-np-z2-9]{4}-){5}[a-km-np-z2-9]{4}", secret)
        assert row.scopes == ("read", "send")
        canonical = canonical_secret(secret)
        assert canonical is not None
        assert row.secret_sha256 == secret_sha256("u1", canonical)
        assert row.secret_sha256 != secret_sha256("u2", canonical)
        assert canonical not in str(row)


@pytest.mark.parametrize(
    "typed",
    [
        "abcd-efgh-jkmn-pqrs-tuvw-xyz2",
        "abcdefghjkmnpqrstuvwxyz2",
        "ABCD EFGH JKMN PQRS TUVW XYZ2",
        " Abcd-efgh-jkmn-pqrs-tuvw-xyz2\n",
        "abcd--efgh-jkmnpqrs\N{NO-BREAK SPACE}tuvw-xyz2",
    ],
)
def test_dashes_spaces_and_case_do_not_matter(typed: str) -> None:
    assert canonical_secret(typed) == "abcdefghjkmnpqrstuvwxyz2"


@pytest.mark.parametrize(
    "typed",
    [
        "", "correct horse", "k7qfp-2mxwd-9tzhb-c4nrv", "abcd-efgh-jkmn-pqrs-tuvw-xyz",
        "abcd-efgh-jkmn-pqrs-tuvw-xyz23", "abcd-efgh-jkmn-pqrs-tuvw-xyz1",
        "lbcd-efgh-jkmn-pqrs-tuvw-xyz2", "a" * 24 + "\0", "-" * 24, "é" * 24, "\ud800" * 24,
        "-" * 100 + "a" * 24, "a" * 1_000_000,
    ],
)  # fmt: skip
def test_what_has_another_form_is_no_application_password(typed: str) -> None:
    assert canonical_secret(typed) is None


@pytest.mark.parametrize("name", ["Phone", "  Mail on 📱 ", "메일", "x" * 64, "<b>'; DROP--"])
def test_a_name_is_any_printable_text(name: str) -> None:
    assert checked_name(name) == name.strip()


@pytest.mark.parametrize(
    "name",
    [
        "", "   ", "x" * 65, "two\nlines", "a\0b", "\x1b[31mred", "\u202eevil", "a\u200bb",
        "\ud800", "tab\there", "\ue000",
    ],
)  # fmt: skip
def test_a_name_that_does_not_print_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        checked_name(name)


def test_names_are_compared_in_one_normal_form() -> None:
    assert checked_name("e\N{COMBINING ACUTE ACCENT}") == "é"


def test_there_is_a_scope_at_least() -> None:
    with pytest.raises(Refused):
        new_app_password("u1", "Phone", [])

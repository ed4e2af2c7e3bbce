"""Password hashes: round trip, normal form, and equal cost for unknown users."""

import re
import unicodedata

import pytest
from argon2 import PasswordHasher

from mail.directory.passwords import hash_password, random_password, verify_password


def test_only_the_right_password_verifies() -> None:
    stored = hash_password("correct 말 horse")
    assert stored.startswith("$argon2id$")
    assert verify_password(stored, "correct 말 horse")
    assert not verify_password(stored, "correct 말 hors")
    assert hash_password("correct 말 horse") != stored


def test_nobody_signs_in_without_a_hash_or_with_a_broken_one() -> None:
    assert not verify_password("", "anything")
    assert not verify_password("$argon2id$nonsense", "anything")
    stored = hash_password("a" * 1024)
    assert verify_password(stored, "a" * 1024)
    assert not verify_password(stored, "a" * 1025)
    assert not verify_password(stored, "")
    assert not verify_password(stored, "\ud800")


def test_an_empty_password_verifies_against_no_hash() -> None:
    assert not verify_password(PasswordHasher().hash(b""), "")


def test_a_password_is_one_whatever_its_normal_form() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Škoda 말 ñ") for form in ("NFC", "NFD"))
    assert verify_password(hash_password(composed), decomposed)
    assert verify_password(hash_password(decomposed), composed)
    made_before = PasswordHasher().hash(decomposed.encode())  # of the octets as typed
    assert verify_password(made_before, decomposed)
    assert not verify_password(made_before, composed)


def test_what_cannot_be_a_password_is_refused() -> None:
    for password in ("", "a" * 1025):
        with pytest.raises(ValueError, match="octets"):
            hash_password(password)


def test_random_passwords_are_readable_and_differ() -> None:
    made = {random_password() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(r"[a-z2-9]{5}(-[a-z2-9]{5}){3}", password) for password in made)

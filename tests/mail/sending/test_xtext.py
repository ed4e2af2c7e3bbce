"""xtext and utf-8-addr-xtext: every text comes back, and the encoded form is one printable word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.sending import xtext

ASCII = st.text(st.characters(max_codepoint=127))
ANY = st.text(st.characters(exclude_categories=("Cs",)), min_size=1)


@given(ASCII)
def test_ascii_comes_back(text: str) -> None:
    encoded = xtext.encode(text)
    assert xtext.decode(encoded) == text
    assert all("!" <= character <= "~" and character != "=" for character in encoded)


@given(ANY)
def test_an_address_comes_back_with_its_type(address: str) -> None:
    encoded = xtext.encode_address(f"rfc822;{address}")
    assert all("!" <= character <= "~" for character in encoded)
    kind, _, decoded = xtext.decode_address(encoded).partition(";")
    assert decoded == address
    assert kind == ("rfc822" if address.isascii() else "utf-8")


def test_examples_of_the_rfcs() -> None:
    assert xtext.encode_address("rfc822;a+b@x.test") == "rfc822;a+2Bb@x.test"
    assert xtext.encode_address("utf-8;ü@x.test") == r"utf-8;\x{FC}@x.test"
    assert xtext.decode("QQ+2B") == "QQ+"


@pytest.mark.parametrize("value", ["a b", "a=b", "+2b", "+", "+2", "ü"])
def test_other_text_is_no_xtext(value: str) -> None:
    with pytest.raises(ValueError):
        xtext.decode(value)


@pytest.mark.parametrize("value", ["", "rfc822", "rfc822;", ";a", r"utf-8;\x{D800}"])
def test_other_text_is_no_typed_address(value: str) -> None:
    with pytest.raises(ValueError):
        xtext.decode_address(value)


def test_text_beyond_ascii_has_no_xtext() -> None:
    with pytest.raises(ValueError):
        xtext.encode("ü")

"""SASL exchanges of PLAIN (RFC 4616) and LOGIN: dialogues, malformed responses, bounds."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sign_in.sasl import (
    MECHANISMS,
    RESPONSE_MAX_CHARS,
    Challenge,
    Credentials,
    SaslError,
    SaslFault,
    begin,
)
from mail.addresses import ADDRESS_MAX_BYTES
from mail.directory.passwords import PASSWORD_MAX_BYTES

ADDRESS, PASSWORD = "alice@example.org", "correct horse ½"
ALICE = Credentials(ADDRESS, PASSWORD)
# RFC 4616 §2: %x01-7F without NUL, and UTF-8 beyond ASCII
safe_text = st.text(
    st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=60
)


def b64(text: str | bytes) -> bytes:
    return base64.b64encode(text.encode() if isinstance(text, str) else text)


def exchange(mechanism: str, *lines: bytes, initial: bytes | None = None) -> Credentials:
    """The credentials at the end of a whole exchange."""
    step = begin(mechanism, initial)
    for line in lines:
        assert isinstance(step, Challenge)
        step = step.respond(line)
    assert isinstance(step, Credentials)
    return step


def fault(mechanism: str, *lines: bytes, initial: bytes | None = None) -> SaslFault:
    with pytest.raises(SaslError) as error:
        exchange(mechanism, *lines, initial=initial)
    return error.value.fault


def plain(authcid: str = ADDRESS, passwd: str = PASSWORD, authzid: str = "") -> bytes:
    return b64(f"{authzid}\0{authcid}\0{passwd}")


@pytest.mark.parametrize("name", ["PLAIN", "plain", "Plain"])
def test_plain_with_and_without_an_initial_response(name: str) -> None:
    assert exchange(name, initial=plain()) == ALICE
    first = begin(name)
    assert isinstance(first, Challenge)
    assert first.text == ""
    assert first.respond(plain()) == ALICE


def test_login_asks_for_user_name_and_password() -> None:
    first = begin("LOGIN")
    assert isinstance(first, Challenge)
    second = first.respond(b64(ADDRESS))
    assert isinstance(second, Challenge)
    assert (first.text, second.text) == ("VXNlcm5hbWU6", "UGFzc3dvcmQ6")
    assert second.respond(b64(PASSWORD)) == ALICE
    assert exchange("login", b64(PASSWORD), initial=b64(ADDRESS)) == ALICE


def test_an_exchange_may_be_repeated_from_each_of_its_steps() -> None:
    step = begin("LOGIN", b64(ADDRESS))
    assert isinstance(step, Challenge)
    assert step.respond(b64("a")) == Credentials(ADDRESS, "a")
    assert step.respond(b64("b")) == Credentials(ADDRESS, "b")


def test_the_password_is_in_no_log() -> None:
    assert PASSWORD not in repr(ALICE)
    assert ADDRESS not in repr(begin("LOGIN", b64(ADDRESS)))


def test_the_authorization_identity_is_empty_or_the_authentication_identity() -> None:
    assert exchange("PLAIN", plain(authzid=ADDRESS)) == ALICE
    assert fault("PLAIN", plain(authzid="bob@example.org")) is SaslFault.OTHER_IDENTITY


@pytest.mark.parametrize("name", ["", "CRAM-MD5", "PLAIN ", "EXTERNAL", "SCRAM-SHA-256"])
def test_other_mechanisms_are_unknown(name: str) -> None:
    assert MECHANISMS == ("PLAIN", "LOGIN")
    assert fault(name) is SaslFault.UNKNOWN_MECHANISM


@pytest.mark.parametrize("before", [("PLAIN",), ("LOGIN",), ("LOGIN", b64(ADDRESS))])
def test_a_client_can_cancel_at_every_challenge(before: tuple[str, *tuple[bytes, ...]]) -> None:
    assert fault(*before, b"*") is SaslFault.CANCELLED


@pytest.mark.parametrize(
    "response",
    [
        b"=",
        b"A",
        b"AA",
        b"AAA",
        b"AAAA=",
        b"AGE=AGI=",
        b" " + plain(),
        plain() + b"\r\n",
        b"\xff" * 4,
        plain().replace(b"=", b"-") + b"!",
        b64("no separator"),
        b64("one\0separator"),
        b64("\0a\0b\0c"),
        b64("\0\0password"),
        b64(f"\0{ADDRESS}\0"),
        b64(b"\0a\0\xff"),
        b64(b"\0\xc3\0b"),
        b"",
    ],
)
def test_malformed_responses_of_plain(response: bytes) -> None:
    assert fault("PLAIN", response) is SaslFault.MALFORMED


@pytest.mark.parametrize("response", [b"", b"=", b"A", b64("a\0b"), b64(b"\xff")])
def test_malformed_responses_of_login(response: bytes) -> None:
    assert fault("LOGIN", response) is SaslFault.MALFORMED
    assert fault("LOGIN", b64(ADDRESS), response) is SaslFault.MALFORMED


def test_an_empty_initial_response_is_an_equals_sign() -> None:
    assert fault("PLAIN", initial=b"=") is SaslFault.MALFORMED
    assert fault("LOGIN", initial=b"=") is SaslFault.MALFORMED


def test_sizes_are_bounded() -> None:
    longest = "a" * ADDRESS_MAX_BYTES, "p" * PASSWORD_MAX_BYTES
    assert exchange("PLAIN", plain(*longest, authzid=longest[0])) == Credentials(*longest)
    assert fault("PLAIN", plain(longest[0] + "a")) is SaslFault.TOO_LONG
    assert fault("PLAIN", plain(passwd=longest[1] + "p")) is SaslFault.TOO_LONG
    assert fault("LOGIN", b64(longest[0] + "a")) is SaslFault.TOO_LONG
    assert fault("LOGIN", b64("a"), b64(longest[1] + "p")) is SaslFault.TOO_LONG
    assert fault("PLAIN", b"A" * (RESPONSE_MAX_CHARS + 1)) is SaslFault.TOO_LONG
    assert fault("PLAIN", initial=b"A" * (RESPONSE_MAX_CHARS + 4)) is SaslFault.TOO_LONG


@given(safe_text, safe_text)
def test_what_a_client_sends_is_what_is_checked(address: str, password: str) -> None:
    expected = Credentials(address, password)
    assert exchange("PLAIN", plain(address, password)) == expected
    assert exchange("PLAIN", initial=plain(address, password, address)) == expected
    assert exchange("LOGIN", b64(address), b64(password)) == expected


def run(
    mechanism: str, lines: list[bytes], initial: bytes | None
) -> Credentials | SaslFault | None:
    """The result of any lines; None when the exchange waits for more."""
    try:
        step = begin(mechanism, initial)
        for line in lines:
            if isinstance(step, Credentials):
                break
            step = step.respond(line)
    except SaslError as error:
        return error.fault
    return step if isinstance(step, Credentials) else None


lines = st.one_of(st.binary(max_size=80), st.binary(max_size=80).map(base64.b64encode))


@given(st.sampled_from(MECHANISMS), st.lists(lines, max_size=3), st.none() | lines)
def test_any_lines_end_in_bounded_credentials_or_a_named_fault(
    mechanism: str, responses: list[bytes], initial: bytes | None
) -> None:
    result = run(mechanism, responses, initial)
    if isinstance(result, Credentials):
        for text in (result.address, result.password):
            assert text
            assert "\0" not in text
    if mechanism == "PLAIN" and responses:
        assert result is not None

"""DKIM keys: what is generated can be loaded, and other keys are refused with a reason."""

import base64
import re

import pytest
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mail.errors import BadAddress
from mail.sending.dkim.keys import BadKey, generate, load

SEED = base64.b64encode(bytes(range(32)))


def pem(private, form=forms.PrivateFormat.PKCS8, passphrase=None) -> bytes:
    encryption = forms.BestAvailableEncryption(passphrase) if passphrase else forms.NoEncryption()
    return private.private_bytes(forms.Encoding.PEM, form, encryption)


@pytest.mark.parametrize("algorithm", ["rsa-sha256", "ed25519-sha256"])
def test_a_generated_key_can_be_loaded(algorithm):
    key = generate("Bücher.test", "a2026.x", algorithm)
    assert key.record_name == "a2026.x._domainkey.xn--bcher-kva.test"
    again = load("xn--bcher-kva.test", "a2026.x", key.pem)
    assert (again.algorithm, again.record_text) == (algorithm, key.record_text)
    assert "PRIVATE" not in repr(key)


def test_the_record_has_strings_of_255_characters():
    key = generate("here.test", "s", "rsa-sha256")
    assert re.fullmatch(r"v=DKIM1; k=rsa; p=[A-Za-z0-9+/=]{392}", key.record_text)
    assert [len(each) - 2 for each in key.record_strings] == [255, len(key.record_text) - 255]
    assert "".join(each.strip('"') for each in key.record_strings) == key.record_text


def test_the_example_of_rfc_8463():
    key = load(
        "football.example.com", "brisbane", b"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n"
    )
    assert key.record_text == "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def test_pkcs_1_is_taken():
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key = load("here.test", "s", pem(private, forms.PrivateFormat.TraditionalOpenSSL))
    assert key.algorithm == "rsa-sha256"


@pytest.mark.parametrize(
    "secret",
    [b"", b"x", SEED[:-4], b"-----BEGIN PRIVATE KEY-----\nx",
     pem(ec.generate_private_key(ec.SECP256R1())),
     pem(rsa.generate_private_key(public_exponent=65537, key_size=2048), passphrase=b"x")],
)  # fmt: skip
def test_other_keys_are_refused(secret):
    with pytest.raises(BadKey):
        load("here.test", "s", secret)


@pytest.mark.parametrize("selector", ["", "a_b", "a b", "-a", "a..b", "a;b", "ü", "x" * 64])
def test_a_selector_is_a_domain_name(selector):
    with pytest.raises(BadKey):
        load("here.test", selector, SEED)


def test_a_domain_is_a_domain_name():
    with pytest.raises(BadAddress):
        load("here test", "s", SEED)

"""Sealed secrets, keyrings of domains, and bounce addresses of sent mail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.clock import now_ms
from mail.ids import new_id
from mail.sending.bounce_addresses import SignedBounceAddresses
from mail.sending.dkim.keyring import IN_USE, NEXT, DkimKeyrings
from mail.sending.reverse_path import ReversePaths
from mail.sending.service_key import CannotOpen, ServiceKey
from schemas.directory import Domain
from stores.memory import MemoryDirectory, MemorySubmissions
from tests.agents.sending.world import user
from tests.contracts.submissions import submission

KEY = ServiceKey(b"k" * 32)
DOMAIN = Domain(domain_id="d1", name="postriver.test", created_at_ms=1)


@given(secret=st.binary(max_size=200), context=st.text(max_size=20))
def test_a_sealed_secret_is_opened_by_the_same_key_and_context_only(secret, context) -> None:
    sealed = KEY.seal(secret, context)
    assert KEY.open(sealed, context) == secret
    for key, octets, other in (
        (ServiceKey(b"l" * 32), sealed, context),
        (KEY, sealed, context + "x"),
        (KEY, sealed[:-1] + bytes([sealed[-1] ^ 1]), context),
        (KEY, sealed[:5], context),
    ):
        with pytest.raises(CannotOpen):
            key.open(octets, other)


def test_keys_of_purposes_differ_and_short_secrets_are_refused() -> None:
    assert KEY.derived("a") == ServiceKey(b"k" * 32).derived("a") != KEY.derived("b")
    with pytest.raises(ValueError, match="at least 32"):
        ServiceKey(b"k" * 31)


@pytest.fixture
async def directory() -> MemoryDirectory:
    directory = MemoryDirectory()
    await directory.add_domain(DOMAIN, user("ann"))
    return directory


async def test_new_keys_sign_once_they_are_taken_into_use(directory: MemoryDirectory) -> None:
    rings = DkimKeyrings(directory, KEY)
    assert await rings.keys_of("postriver.test") == []
    first = await rings.add(DOMAIN, at_ms=1_000_000, state=IN_USE)
    assert [key.algorithm for key in first] == ["rsa-sha256", "ed25519-sha256"]
    dropped = await rings.add(DOMAIN, at_ms=2_000_000, state=NEXT)
    second = await rings.add(DOMAIN, at_ms=3_000_000, state=NEXT)
    assert {key.selector for key in dropped}.isdisjoint(key.selector for key in second)
    again = DkimKeyrings(directory, KEY)
    assert [key.pem for key in await again.keys_of("postriver.test")] == [k.pem for k in first]
    assert [key.pem for key in await again.take_into_use(DOMAIN)] == [k.pem for k in second]
    assert await again.take_into_use(DOMAIN) == []
    assert [key.pem for key in await rings.keys_of("postriver.test")] == [k.pem for k in second]
    assert await rings.keys_of("elsewhere.example") == []
    stored = await directory.setting("dkim:d1")
    assert "PRIVATE" not in stored
    with pytest.raises(CannotOpen):
        await DkimKeyrings(directory, ServiceKey(b"l" * 32)).keys(DOMAIN)


async def test_a_bounce_goes_to_the_user_who_sent_the_mail(directory: MemoryDirectory) -> None:
    paths, submissions = ReversePaths((KEY.derived("reverse-paths"),)), MemorySubmissions()
    name = new_id()
    await submissions.put(submission(name, user_id="ann"))
    bounces = SignedBounceAddresses(paths, submissions, directory)
    address = paths.make(name, "postriver.test", now_ms=now_ms())
    assert (await bounces.sender(address)).user_id == "ann"
    assert (await bounces.sender(address.upper())).user_id == "ann"
    unknown = paths.make(new_id(), "postriver.test", now_ms=now_ms())
    for other in (unknown, "ann@postriver.test", "bounce+x@postriver.test", address[:-1] + "x"):
        assert await bounces.sender(other) is None

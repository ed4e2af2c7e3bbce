"""A Redis that runs elsewhere: a user with a password, over TLS that is verified."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cli.config.config import Config, load
from cli.doctor import external
from cli.wiring.external_engines import redis_config
from edge.self_signed_certificate import ensure_own
from mail.errors import StoreUnavailable
from stores.redis.attempts import RedisAttempts
from stores.redis.client import RedisClient, RedisConfig
from stores.redis.request_tokens import RedisTokens
from tests.contracts.attempts import attempt, limit
from tests.support import ROOT
from tests.support.redis import RIGHTS, RedisOverTls

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """The settings of a server that has TLS, and no user without a password."""
    folder = tmp_path_factory.mktemp("redis")
    pair = ensure_own(folder / "tls", "localhost")
    password = folder / "password"
    password.write_text(PASSWORD)
    server = RedisOverTls(
        folder, certificate=pair.certificate, key=pair.key, user="counts", password=PASSWORD
    )
    with server:
        yield load({
            "POSTRIVER_PROFILE": "distributed", "POSTRIVER_HOME": str(folder / "ours"),
            "POSTRIVER_REDIS": f"redis://counts@localhost:{server.port}"
            f"?tls=1&ca={pair.certificate}",
            "POSTRIVER_REDIS_PASSWORD_FILE": str(password),
        })  # fmt: skip


async def _begun(made: RedisConfig) -> int:
    client = RedisClient.open(replace(made, timeout_s=60))  # a busy machine
    try:
        attempts = RedisAttempts(client, kept_ms=3_600_000)
        return await attempts.begin(attempt(1), [limit("peer", 2)])
    finally:
        await client.close()


async def test_attempts_are_counted_over_tls(config: Config) -> None:
    assert await asyncio.gather(*(_begun(redis_config(config)) for _ in range(2))) == [0, 0]


@pytest.mark.parametrize(
    "change", [{"password": "wrong"}, {"user": "", "password": ""}, {"ca": None}, {"tls": False}]
)
async def test_a_client_that_is_not_the_one_is_refused(config: Config, change: dict) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await _begun(replace(redis_config(config), **change))
    assert PASSWORD not in str(caught.value)


async def test_a_certificate_of_another_host_is_refused(config: Config) -> None:
    made = redis_config(config)
    assert isinstance(made.address, tuple)
    with pytest.raises(StoreUnavailable):
        await _begun(replace(made, address=("127.0.0.1", made.address[1])))


async def test_the_doctor_wants_a_client_without_a_password_refused(config: Config) -> None:
    assert (await external.answering(config))[0].level == "ok"
    without = replace(config, redis_password_file=None)
    assert "NOAUTH" in (await external.answering(without))[0].what


async def test_the_documented_rights_suffice(config: Config) -> None:
    """The user of the server has exactly these."""
    assert f"Redis: `{RIGHTS}`" in (ROOT / "docs" / "operations.md").read_text()
    client = RedisClient.open(replace(redis_config(config), timeout_s=60))
    try:
        assert (await RedisTokens(client, "requests", 10).take("ann")).tokens == 1
        assert await RedisAttempts(client, kept_ms=1_000).prune(before_ms=0) == 0
    finally:
        await client.close()

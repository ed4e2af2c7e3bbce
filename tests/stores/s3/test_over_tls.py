"""An S3 server that runs elsewhere: its keys, and TLS with a certificate of an own CA."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cli.config.config import Config, load
from cli.doctor import external
from cli.wiring.external_engines import objects_config
from edge.self_signed_certificate import ensure_own
from mail.errors import StoreUnavailable
from stores.s3.objects import ObjectsConfig, S3Objects
from tests.support.versitygw import VersityGw, tls_settings

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    folder = tmp_path_factory.mktemp("s3-tls")
    pair = ensure_own(folder / "tls", "localhost")
    server, file = VersityGw(folder, tls_settings(pair.certificate, pair.key)), folder / "secret"
    file.write_text(f"{server.objects.secret_key}\n")
    with server:
        yield load({
            "POSTRIVER_PROFILE": "distributed", "POSTRIVER_HOME": str(folder / "ours"),
            "POSTRIVER_S3": f"s3://{server.objects.access_key}@localhost:{server.port}/postriver"
            f"?tls=1&ca={pair.certificate}",
            "POSTRIVER_S3_PASSWORD_FILE": str(file),
        })  # fmt: skip


async def test_objects_are_kept_over_tls(config: Config) -> None:
    objects = S3Objects.open(objects_config(config))
    await objects.put("a/b", b"octets")
    assert await objects.get("a/b") == b"octets"
    assert await objects.read("a/b", start=1, size_bytes=2) == b"ct"
    await objects.delete("a/b")
    assert await objects.get("a/b") is None
    assert (await external.answering(config))[0].level == "ok"


@pytest.mark.parametrize("change", [{"ca": b""}, {"secret_key": "wrong" * 8}])
async def test_another_server_or_client_is_refused(config: Config, change: dict) -> None:
    made: ObjectsConfig = replace(objects_config(config), retries=0, **change)
    with pytest.raises(StoreUnavailable) as caught:
        await S3Objects.open(made).put("a/b", b"octets")
    assert config.password_of("s3") not in str(caught.value)

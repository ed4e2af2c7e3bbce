"""A cluster that runs elsewhere: basic authentication over TLS. The server here only answers."""

import base64
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from cli.config.config import Config, load
from cli.doctor import external
from cli.wiring.external_engines import search_config
from mail.errors import StoreUnavailable
from schemas.ids import UserId
from schemas.search import IndexedTo
from stores.opensearch.client import SearchClusterConfig
from stores.opensearch.index import OpenSearchIndex
from tests.support.certificates import make_certificate

PASSWORD = "correct horse"
LOGIN = "Basic " + base64.b64encode(f"finder:{PASSWORD}".encode()).decode()


async def _answer(request: web.Request) -> web.Response:
    if request.headers.get("Authorization") != LOGIN:
        return web.json_response({"error": "no"}, status=401)
    if request.path.endswith("/_alias"):
        return web.json_response({})
    return web.json_response({"docs": [{"found": False}], "version": {"number": "3.0.0"}})


@pytest.fixture
async def config(tmp_path: Path) -> AsyncIterator[Config]:
    made = make_certificate(tmp_path / "tls")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    yield load({
        "POSTRIVER_PROFILE": "distributed",
        "POSTRIVER_OPENSEARCH": f"opensearch://finder@127.0.0.1:{port}?tls=1&ca={made.certificate}"
        "&shards=3&replicas=2",
        "POSTRIVER_OPENSEARCH_PASSWORD_FILE": str(file),
    })  # fmt: skip
    await runner.cleanup()


async def _ask(config: SearchClusterConfig) -> IndexedTo:
    index = OpenSearchIndex(config)
    try:
        return await index.indexed_to(UserId("u1"))
    finally:
        await index.close()


async def test_a_cluster_answers_its_user_over_tls(config: Config) -> None:
    made = search_config(config)
    assert (made.shards, made.replicas) == (3, 2)
    assert await _ask(made) == IndexedTo()
    assert (await external.answering(config))[0].level == "ok", "a client without it is refused"


@pytest.mark.parametrize(
    "change",
    [{"password": "wrong"}, {"user": ""}, {"tls": ssl.create_default_context()}, {"tls": None}],
    ids=["password", "user", "ca", "clear"],
)
async def test_another_server_or_client_is_refused(config: Config, change: dict) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await _ask(replace(search_config(config), **change))
    assert PASSWORD not in str(caught.value)

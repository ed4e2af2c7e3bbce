"""One OpenSearch node for tests, started with the product's own configuration."""

import os
import random
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, encode_basic_auth, web

from stack.engines.opensearch import PORTS, OpenSearchConfig, opensearch
from stack.state_folder import StateFolder
from tests.support import ROOT
from tests.support.broker import free_ports
from tests.support.certificates import ServerCertificate
from tests.support.engine import Engine

JARS = ROOT / ".tools" / "opensearch" / "lib"


def free_http_port() -> int:
    """A port that the runner takes."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    pytest.fail("no port is free for OpenSearch")


class OpenSearchNode(Engine):
    """A node on a free port."""

    def __init__(self, folder: Path) -> None:
        self.port, (transport_port,) = free_http_port(), free_ports(1)
        config = OpenSearchConfig(
            lib=JARS, port=self.port, transport_port=transport_port, heap_max_mib=512
        )
        super().__init__(opensearch(StateFolder(folder / "home"), config), folder / "out.log")


@asynccontextmanager
async def secured(
    port: int, made: ServerCertificate, *, user: str, password: str
) -> AsyncIterator[int]:
    """Yield the port of a front that wants TLS and a login; the jars have no such plugin."""
    login = encode_basic_auth(user, password)
    async with ClientSession(f"http://127.0.0.1:{port}", auto_decompress=False) as node:

        async def passed_on(request: web.Request) -> web.Response:
            if request.headers.get("Authorization") != login:
                return web.json_response({"error": "no"}, status=401)
            names = ("Content-Type", "Content-Encoding", "Accept-Encoding")
            headers = {name: request.headers[name] for name in names if name in request.headers}
            body = await request.read()
            async with node.request(
                request.method, request.rel_url, data=body, headers=headers
            ) as answer:
                kept = {name: answer.headers[name] for name in names if name in answer.headers}
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)

        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", passed_on)
        runner = web.AppRunner(app)
        await runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(made.certificate, made.key)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        try:
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()


def given_port() -> int | None:
    """The port of a node that runs already; None: tests start one."""
    port = os.environ.get("POSTRIVER_TEST_OPENSEARCH")
    return int(port) if port else None

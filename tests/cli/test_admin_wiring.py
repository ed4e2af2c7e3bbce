"""The ports of the admin API over the stores of a state folder, without broker and supervisor."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from cli.config.config import load
from cli.wiring.admin import admin_ports
from cli.wiring.embedded import Adapters
from cli.wiring.store_files import prepare_stores
from mail.errors import NotFound
from operations import accounts, domain_records
from operations.quarantine import discard
from operations.stack_status import StatusUnavailable
from stack.ports import free_port
from stack.state_folder import claimed


async def test_the_ports_use_the_stores_of_the_folder(tmp_path: Path) -> None:
    with claimed(tmp_path / "home") as home:
        config = load({"POSTRIVER_HOME": str(home.path), "POSTRIVER_OPS_PORT": str(free_port())})
        await prepare_stores(home.path)
        async with AsyncExitStack() as stack:
            opened = Adapters(home.path, stack, existing=True)
            directory = await opened.directory()
            ports = await admin_ports(config, opened, directory)
            await domain_records.add_signed_domain(directory, ports.keyrings, "example.org")
            domain = await accounts.get_domain(directory, "example.org")
            records = await domain_records.records_of(ports.keyrings, domain, ports.hostname)
            assert len(records) == 5
            assert await ports.queue.loads(now_ms=1, limit=9) == []
            assert await ports.release.quarantine.list(limit=9) == []
            with pytest.raises(NotFound):
                await discard("m1", ports.release, by="ann", at_ms=1)
            with pytest.raises(StatusUnavailable):
                await ports.stack.report()
            assert await ports.tracer.held() == []

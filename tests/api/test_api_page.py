"""docs/api.md: its commands run unchanged, and its table has every problem code."""

import asyncio
import re

from tests.support import ROOT
from tests.support.edge_world import World
from tests.system.docs.pages import blocks

PAGE = ROOT / "docs" / "api.md"
SAID = "http://127.0.0.1:8080"
CODE = re.compile(r'(?:Problem\(\s*\d+,\s*|bad_request\(\s*|\d+: \()"(\w+)"')


async def test_the_tour_can_be_taken(world: World) -> None:
    await world.deliver()
    steps = [block.text for block in blocks(PAGE) if block.language == "sh"]
    script = "\n".join(["set -euo pipefail", *steps]).replace(SAID, world.url)
    shell = await asyncio.create_subprocess_exec(
        "bash", "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = await shell.communicate()
    assert shell.returncode == 0, complained.decode()
    assert said.count(b"{") > 25
    assert b"304\n" in said
    assert (await world.store.load("alice")).usage.messages == 0


def test_every_code_is_in_the_table() -> None:
    sources = (path.read_text(encoding="utf-8") for path in sorted((ROOT / "api").rglob("*.py")))
    codes = {code for text in sources for code in CODE.findall(text)}
    table = set(re.findall(r"`(\w+)`", PAGE.read_text(encoding="utf-8").split("## Failures")[1]))
    assert len(codes) > 20
    assert codes <= table, codes - table

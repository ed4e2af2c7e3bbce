"""From an address to the first list: requests, octets and time; cold, warm, far away, offline."""

import statistics
from typing import Any

from playwright.async_api import Browser

from benchmarks.stack import Stack
from benchmarks.webmail.tab import Tab, signed_in, tab

FAR = {
    "offline": False,
    "latency": 40,
    "downloadThroughput": 1_250_000,
    "uploadThroughput": 1_250_000,
}
DEVICE_WAIT_S = 4.0  # for a list from the device; without one there is none
KEPT_WAIT_MS = 10_000  # until a page has its copies on the device, as one that is used for a while
KEPT = """(wait_ms) => new Promise((resolve) => {
  const limit = performance.now() + wait_ms;
  const ask = async () => {
    const isKept = navigator.serviceWorker.controller && await caches.match("/last-screen");
    if (isKept || performance.now() > limit) resolve();
    else setTimeout(ask, 100);
  };
  ask();
})"""
DEVICE = """(wait_ms) => Promise.race([probe.firstList,
  new Promise((resolve) => setTimeout(resolve, wait_ms, null))])"""


class Traffic:
    """Requests of a tab that reached the network, and their octets with headers."""

    def __init__(self, of: Tab) -> None:
        self.requests = 0
        self.received_bytes = 0
        self._cached: set[str] = set()
        of.cdp.on(
            "Network.requestServedFromCache", lambda event: self._cached.add(event["requestId"])
        )
        of.cdp.on("Network.responseReceived", self._answered)
        of.cdp.on("Network.loadingFinished", self._finished)

    def _answered(self, event: dict[str, Any]) -> None:
        response = event["response"]
        if response.get("fromDiskCache") or response.get("fromServiceWorker"):
            self._cached.add(event["requestId"])

    def _finished(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self._cached:
            self.requests += 1
            self.received_bytes += int(event["encodedDataLength"])

    @property
    def kb(self) -> float:
        return round(self.received_bytes / 1024, 1)


async def traffic(browser: Browser, stack: Stack, token: str) -> dict[str, float]:
    """Requests and KB until the first list, in a fresh profile and then again."""
    figures: dict[str, float] = {}
    async with signed_in(browser, stack, token) as context:
        for name in ("cold", "warm"):
            opened = await tab(context, 1)
            await opened.cdp.send("Network.enable")
            seen = Traffic(opened)
            await opened.first_list_ms(f"{stack.config.http_url}/")
            figures |= {f"{name}_requests": seen.requests, f"{name}_kb": seen.kb}
            await opened.page.wait_for_load_state("networkidle")
            await opened.page.close()
    return figures


async def first_list(
    browser: Browser, stack: Stack, token: str, rate: int, rounds: int
) -> dict[str, float | None]:
    """Medians of the time to the first list, in milliseconds."""
    url = f"{stack.config.http_url}/"
    took: dict[str, list[float]] = {"cold": [], "warm": [], "far": [], "device": []}
    live: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(rounds):
        async with signed_in(browser, stack, token) as context:
            for name in ("cold", "warm"):
                opened = await tab(context, rate)
                took[name].append(await opened.first_list_ms(url))
                live[name].append(await opened.live_ms())
                await opened.page.evaluate(KEPT, KEPT_WAIT_MS)
                await opened.page.close()
            opened = await tab(context, rate)
            if (from_device := await _from_device(opened, url)) is not None:
                took["device"].append(from_device)
        async with signed_in(browser, stack, token) as context:
            opened = await tab(context, rate)
            await opened.cdp.send("Network.enable")
            await opened.cdp.send("Network.emulateNetworkConditions", FAR)
            took["far"].append(await opened.first_list_ms(url))
    return {f"live_{name}_ms": round(statistics.median(live[name]), 1) for name in live} | {
        f"first_{name}_ms": round(statistics.median(values), 1) if values else None
        for name, values in took.items()
    }


async def _from_device(opened: Tab, url: str) -> float | None:
    """The time to the first list while the API does not answer; None: no list is kept."""
    await opened.cdp.send("Network.enable")
    await opened.cdp.send("Network.setBlockedURLs", {"urls": ["*/v1/*"]})
    await opened.page.goto(url, wait_until="commit")
    found = await opened.page.evaluate(DEVICE, DEVICE_WAIT_S * 1000)
    return None if found is None else float(found)

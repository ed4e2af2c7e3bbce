"""Reports that no page of ours may cause: of policies, of errors, of requests to other hosts."""

import re
from typing import Any

from playwright.async_api import Browser, BrowserContext

# Violations of the Content-Security-Policy and of Trusted Types have an event. The observer has
# these and the others: deprecation, intervention, permissions policy.
REPORT = """(() => {
  addEventListener("securitypolicyviolation", (event) =>
    console.error("POLICY", event.violatedDirective, event.blockedURI, event.sourceFile));
  new ReportingObserver((found) => found.forEach((one) =>
    console.error("POLICY", one.type, JSON.stringify(one.body))), { buffered: true }).observe();
})();"""
_POLICY = re.compile(
    r"POLICY|Content Security Policy|Trusted ?(?:Type|HTML|Script)|[Pp]ermissions.policy"
)
# `chrome`: files of the browser's own viewers.
_OWN = re.compile(
    r"(?:https?|wss?)://127\.0\.0\.1[:/]|(?:data|about|blob|chrome|chrome-extension):"
)


class Reports:
    """What the pages of some contexts reported, in `found`. The API may be synchronous or not."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def watch(self, context: Any) -> None:
        """Record what every page of the context reports; the context has the script REPORT."""
        context.on("console", lambda message: self._said(message.text))
        context.on("request", lambda request: self._asked(request.url))
        context.on("weberror", lambda failed: self.found.append(f"error {failed.error}"))

    def _said(self, text: str) -> None:
        if _POLICY.search(text):
            self.found.append(text)

    def _asked(self, url: str) -> None:
        if not _OWN.match(url):
            self.found.append(f"request {url}")

    def expect(self, pattern: str) -> None:
        """Drop the reports that match, which the test has caused on purpose."""
        self.found = [text for text in self.found if not re.search(pattern, text)]


class ReportingBrowser:
    """A browser that watches each of its contexts."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.reports = Reports()

    @property
    def contexts(self) -> list[BrowserContext]:
        return list(self._browser.contexts)

    async def new_context(self, **options: Any) -> BrowserContext:
        context = await self._browser.new_context(**options)
        self.reports.watch(context)
        await context.add_init_script(REPORT)
        return context

"""The check of a parsed document: audit.js and its allow-lists."""

from pathlib import Path

from tests.mail.html.test_html import ALLOWED_ATTRIBUTES, REFUSED_TAGS

AUDIT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
RULES = {
    "refusedTags": sorted(REFUSED_TAGS),
    "allowedAttributes": sorted((ALLOWED_ATTRIBUTES | {"class", "src", "aria-label"}) - {"style"}),
}

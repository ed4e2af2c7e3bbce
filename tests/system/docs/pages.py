"""What the documents say: pages, their fenced blocks, links, commands and settings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_COMMENT = re.compile(r"\s+#\s.*$")


@dataclass(frozen=True)
class Block:
    """A fenced block: the word behind its fence, the rest of that line, and what is in it."""

    page: str
    language: str
    about: str
    text: str

    def commands(self) -> Iterator[str]:
        """Return the lines of a shell block, continuations joined, without comments."""
        for line in self.text.replace("\\\n", " ").splitlines():
            if bare := _COMMENT.sub("", f" {line}").strip():
                yield " ".join(bare.split())


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [Block(name_of(page), *_told(head), text) for head, text in found]


def _told(head: str) -> tuple[str, str]:
    language, _, about = head.partition(" ")
    return language, about


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Those that stay in the project."""
    return [link for link in _LINK.findall(prose(page)) if "://" not in link]


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as forges make them."""
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(prose(page)))
    return {title.strip().replace(" ", "-") for title in plain}


def code(page: Path) -> list[str]:
    """Return the text between single backticks."""
    return _CODE.findall(prose(page))


def shell_commands(page: Path) -> list[str]:
    return [line for block in blocks(page) if block.language == "sh" for line in block.commands()]
